// Threads side by side: data layers and their prefetching, nets that end while it goes on, whole trainings, readers of
// prototxts. Under ThreadSanitizer (scripts/sanitize.sh thread) these are what it watches.
#include <google/protobuf/text_format.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "boost/thread/barrier.hpp"
#include "caffe/solver.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/io.hpp"
#include "caffe_acu/tests/data_layer_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/util/prototxt.hpp"

namespace caffe {

class ThreadsTest : public DataLayerCase {
 protected:
  static constexpr int kRecords = 10, kSide = 36;
  typedef std::vector<std::vector<float>> Records;

  void SetUp() override {
    DataLayerCase::SetUp();
    for (int i = 0; i < kRecords; ++i) {
      Datum datum;
      datum.set_channels(3);
      datum.set_height(kSide);
      datum.set_width(kSide);
      datum.set_label(i % 3);
      for (int p = 0; p < 3 * kSide * kSide; ++p) datum.mutable_data()->push_back(static_cast<char>(31 * i + 7 * p));
      values_.push_back(datum.SerializeAsString());
    }
  }

  LayerParameter Param(int batch_size, bool shuffle) const {
    LayerParameter param = DataLayerCase::Param(batch_size);
    param.mutable_data_param()->set_shuffle(shuffle);
    param.mutable_transform_param()->set_crop_size(kSide - 4);
    param.mutable_transform_param()->set_mirror(shuffle);
    if (!shuffle) param.set_phase(caffe::TEST);  // the centre: in order, the random crops are those of the thread
    return param;
  }

  // The weights after a few iterations, with a test in between, of a net with every layer that has threads.
  std::vector<float> Train() const {
    const auto data = [this](const std::string& phase, const std::string& order) {
      return "layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: " + phase +
             " } transform_param { crop_size: 32 mirror: true scale: 0.01 } data_param { source: '" + source_ +
             "' batch_size: 8 backend: LMDB " + order + " } } ";
    };
    const auto convolution = [](const std::string& name, const std::string& type, const std::string& bottom,
                                const std::string& more) {
      return "layer { name: '" + name + "' type: '" + type + "' bottom: '" + bottom + "' top: '" + name +
             "' convolution_param { num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } " + more + " } } ";
    };
    const auto after = [](const std::string& blob, const std::string& type) {
      return "layer { name: '" + blob + type + "' type: '" + type + "' bottom: '" + blob + "' top: '" + blob + "' } ";
    };
    const std::string text =
        "base_lr: 0.01 lr_policy: 'fixed' momentum: 0.9 max_iter: 4 display: 0 random_seed: 5 test_iter: 2 "
        "test_interval: 2 snapshot_after_train: false snapshot_prefix: '" + folder_ + "/s' net_param { " +
        data("TRAIN", "shuffle: true") + data("TEST", "") + convolution("c1", "Convolution", "data", "") +
        after("c1", "BatchNorm") + after("c1", "Scale") + after("c1", "ReLU") + convolution("c2", "ACU", "c1", "") +
        "layer { name: 'max' type: 'Pooling' bottom: 'c2' top: 'max' pooling_param { kernel_size: 2 stride: 2 } } " +
        convolution("c3", "Convolution", "max", "group: 16") + convolution("c4", "GroupedACU", "c3", "group: 16") +
        convolution("c5", "GroupedACU", "c4", "group: 2") +
        "layer { name: 'mean' type: 'Pooling' bottom: 'c5' top: 'mean' pooling_param { pool: AVE global_pooling: true } } "
        "layer { name: 'score' type: 'InnerProduct' bottom: 'mean' top: 'score' "
        "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } } } "
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'score' bottom: 'label' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    const shared_ptr<Solver<float>> solver(SolverRegistry<float>::CreateSolver(param));
    solver->Solve();
    std::vector<float> weights;
    for (const Blob<float>* blob : solver->net()->learnable_params()) {
      weights.insert(weights.end(), blob->cpu_data(), blob->cpu_data() + blob->count());
    }
    return weights;
  }

  // What `count` threads get that call it at the same time.
  template <typename Call>
  static auto AtOnce(int count, const Call& call) {
    std::vector<decltype(call(0))> results(count);
    std::vector<std::thread> threads;
    boost::barrier all(count);
    for (int i = 0; i < count; ++i) {
      threads.emplace_back([&, i] {
        all.wait();
        results[i] = call(i);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return results;
  }

  std::vector<std::string> values_;
};

TEST_F(ThreadsTest, DataLayersSideBySideReadWhatEachReadsAlone) {
  Write(values_);
  const Records alone[2] = {Read(Param(3, false), 40), Read(Param(3, true), 40)};
  EXPECT_NE(alone[0], alone[1]);
  const std::vector<Records> results = AtOnce(4, [&](int i) { return Read(Param(3, i % 2), 40); });
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(results[i] == alone[i % 2]) << i;
}

TEST_F(ThreadsTest, LayersEndWhileTheyPrefetch) {
  Write(values_);
  const Records before = Read(Param(4, true), 12);
  for (int i = 0; i < 40; ++i) EXPECT_EQ(Read(Param(4, i % 2), 4 * (i % 4)).size(), 4u * (i % 4));
  EXPECT_TRUE(Read(Param(4, true), 12) == before);
}

TEST_F(ThreadsTest, LayersEndWhileTheirThreadHasFailed) {
  values_[7] = "damage";
  Write(values_);
  for (int i = 0; i < 20; ++i) {
    // Two batches of three are good; before, after and while the third is met the layer ends.
    if (i % 4 < 3) {
      EXPECT_EQ(Read(Param(3, false), 3 * (i % 4)).size(), 3u * (i % 4));
    } else {
      EXPECT_ERROR(Read(Param(3, false), 9), "record \"7\"");
    }
  }
}

TEST_F(ThreadsTest, TrainingsSideBySideHaveTheBitsOfOneAlone) {
  Write(values_);
  const std::vector<float> alone = Train();
  const std::vector<std::vector<float>> results = AtOnce(3, [&](int) { return Train(); });
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(results[i] == alone) << i;
}

// As the solvers of several GPUs do, each in its thread.
TEST_F(ThreadsTest, EachThreadKnowsThePrototxtThatItRead) {
  boost::barrier both_have_read(2);
  LayerParameter layer;
  layer.set_name("x");
  const auto results = AtOnce(2, [&](int i) {
    const std::string path = folder_ + "/" + std::to_string(i) + ".prototxt";
    std::ofstream(path) << std::string(i, '\n') << "layer { name: 'x' type: 'Input' top: 'x' }";
    NetParameter net;
    for (int repeated = 0; repeated < 100; ++repeated) ReadProtoFromTextFileOrDie(path, &net);
    both_have_read.wait();
    return PrototxtOf(layer);
  });
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(results[i], folder_ + "/" + std::to_string(i) + ".prototxt:" + std::to_string(i + 1));
  }
}

}  // namespace caffe
