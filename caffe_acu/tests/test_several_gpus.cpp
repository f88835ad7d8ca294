// A training on several GPUs against one on a single GPU. Where there are fewer, and no emulation, the tests say so.
#ifdef USE_NCCL
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <numeric>
#include <string>
#include <vector>

#include "caffe/parallel.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "caffe_acu/snapshot/snapshot.hpp"
#include "caffe_acu/tests/data_layer_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/tests/host_waits.hpp"

namespace caffe {

/// What a solver has after an iteration, and the labels that it read for it.
template <typename Dtype>
struct RecordedStep {
  std::vector<Dtype> weights, positions, labels;
  bool operator==(const RecordedStep& other) const {
    return weights == other.weights && positions == other.positions;
  }
};

/// Tells what every solver of a training does, those in other threads too.
template <typename Dtype>
class RecordingSolver : public SGDSolver<Dtype> {
 public:
  typedef std::map<int, std::vector<RecordedStep<Dtype>>> Record;  // by rank
  using SGDSolver<Dtype>::SGDSolver;
  const char* type() const override { return "Recording"; }

  static Record TakeRecord() {
    Record taken;
    std::swap(taken, record_);
    return taken;
  }

  void ApplyUpdate() override {
    RecordedStep<Dtype> step;
    Append(*this->net_->blob_by_name("label"), &step.labels);
    SGDSolver<Dtype>::ApplyUpdate();
    for (const auto& layer : this->net_->layers()) {
      const bool has_positions = dynamic_cast<const HasPositions*>(layer.get());
      const auto& blobs = layer->blobs();
      for (size_t i = 0; i < blobs.size(); ++i) {
        Append(*blobs[i], has_positions && i >= 2 ? &step.positions : &step.weights);
      }
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    record_[Caffe::solver_rank()].push_back(step);
  }

 private:
  static void Append(const Blob<Dtype>& blob, std::vector<Dtype>* values) {
    values->insert(values->end(), blob.cpu_data(), blob.cpu_data() + blob.count());
  }

  static std::mutex mutex_;
  static Record record_;
};
template <typename Dtype>
std::mutex RecordingSolver<Dtype>::mutex_;
template <typename Dtype>
typename RecordingSolver<Dtype>::Record RecordingSolver<Dtype>::record_;
REGISTER_SOLVER_CLASS(Recording);

template <typename Dtype>
class SeveralGPUsTest : public DataLayerCase {
 protected:
  typedef typename RecordingSolver<Dtype>::Record Record;
  static constexpr int kBatch = 8, kRecords = 10, kWarmup = 5, kIterations = 20;

  void SetUp() override {
    DataLayerCase::SetUp();
    if (caffe_acu_emulation_device) caffe_acu_emulation_device(size_t(8) << 30, 4);
    Caffe::set_mode(Caffe::GPU);
    for (int i = 0; i < kRecords; ++i) records_.push_back(Image(i, i));
  }
  void TearDown() override {
    if (caffe_acu_emulation_device) caffe_acu_emulation_device(size_t(8) << 30, 1);
    Caffe::set_mode(Caffe::CPU);
    Caffe::set_solver_count(1);
    DataLayerCase::TearDown();
  }

  static std::string Image(int number, int label) {
    Datum datum;
    datum.set_channels(2);
    datum.set_height(6);
    datum.set_width(6);
    datum.set_label(label);
    for (int p = 0; p < 72; ++p) datum.add_float_data(std::sin(1.7f * number + 0.3f * p * (1 + number % 3)));
    return datum.SerializeAsString();
  }

  // Of 2 and 4 those numbers of GPUs that there are.
  static std::vector<int> Numbers() {
    int present = 0;
    CUDA_CHECK(cudaGetDeviceCount(&present));
    std::vector<int> numbers;
    for (int gpus : {2, 4}) {
      if (gpus <= present) {
        numbers.push_back(gpus);
      } else {
        std::cout << "skipped: " << gpus << " GPUs, of which there are " << present << std::endl;
      }
    }
    return numbers;
  }

  // A network with positions of both kinds, of which a solver takes `batch` images in a pass.
  SolverParameter Param(int batch, const std::string& more) const {
    const auto data = [this](const char* phase, int size) {
      return std::string("layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: ") + phase +
             " } data_param { source: '" + source_ + "' backend: LMDB batch_size: " + std::to_string(size) + " } } ";
    };
    const auto convolution = [](const char* name, const char* type, const char* bottom, const std::string& more) {
      return std::string("layer { name: '") + name + "' type: '" + type + "' bottom: '" + bottom + "' top: '" + name +
             "' " + more + " } ";
    };
    const auto shape = [](const char* more) {
      return std::string("convolution_param { kernel_size: 3 pad: 1 weight_filler { type: 'msra' } ") + more + " } ";
    };
    const std::string rates = "param { lr_mult: 1 } param { lr_mult: 2 } param { lr_mult: 0.5 decay_mult: 0 } "
                              "param { lr_mult: 0.5 decay_mult: 0 } ";
    const std::string warmup = "warmup_iter: " + std::to_string(kWarmup);
    const std::string text =
        "type: 'Recording' solver_mode: GPU device_id: 0 base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9 "
        "weight_decay: 0.01 random_seed: 5 test_iter: 3 test_interval: 10 snapshot_prefix: '" + folder_ + "/s' " +
        more + " net_param { " + data("TRAIN", batch) + data("TEST", 4) +
        convolution("c", "Convolution", "data", shape("num_output: 2 engine: CAFFE")) +
        convolution("a", "ACU", "c", rates + shape("num_output: 4") + "acu_param { fixed_synapse: 4 " + warmup + " } ") +
        convolution("g", "GroupedACU", "a", rates + shape("num_output: 2 group: 2") +
                    "acu_param { position_noise: 0.2 " + warmup + " } ") +
        "layer { name: 'score' type: 'InnerProduct' bottom: 'g' top: 'score' "
        "inner_product_param { num_output: 10 weight_filler { type: 'xavier' } } } "
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'score' bottom: 'label' top: 'loss' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    if (!param.has_max_iter()) param.set_max_iter(kIterations);
    return param;
  }

  std::string Snapshot(int iteration) const {
    return folder_ + "/s_iter_" + std::to_string(iteration) + ".solverstate";
  }

  // What the solvers did that together take kBatch images.
  Record Train(int gpus, const std::string& more = "", const std::string& restore = "",
               const std::function<SolverAction::Enum(int iter)>& request = nullptr) const {
    RecordingSolver<Dtype>::TakeRecord();
    Caffe::set_solver_count(gpus);
    const shared_ptr<Solver<Dtype>> solver(SolverRegistry<Dtype>::CreateSolver(Param(kBatch / gpus, more)));
    if (request) solver->SetActionFunction([&] { return request(solver->iter()); });
    if (!restore.empty()) solver->Restore(restore.c_str());
    if (gpus == 1) {
      solver->Solve();
    } else {
      std::vector<int> numbers(gpus);
      std::iota(numbers.begin(), numbers.end(), 0);
      NCCL<Dtype>(solver).Run(numbers, restore.empty() ? nullptr : restore.c_str());
    }
    return RecordingSolver<Dtype>::TakeRecord();
  }

  static double Most(const std::vector<Dtype>& values) {
    double most = 0;
    for (Dtype value : values) most = std::max<double>(most, std::abs(value));
    return most;
  }
  static double Difference(std::vector<Dtype> a, const std::vector<Dtype>& b) {
    EXPECT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
    return Most(a);
  }
  // The same bits in all solvers, and up to rounding those of one GPU.
  static void ExpectAgrees(const Record& record, const RecordedStep<Dtype>& alone, int gpus) {
    ASSERT_EQ(record.size(), static_cast<size_t>(gpus));
    for (const auto& rank : record) EXPECT_TRUE(rank.second == record.at(0)) << "rank " << rank.first << " of " << gpus;
    const bool is_double = sizeof(Dtype) == sizeof(double);
    const RecordedStep<Dtype>& last = record.at(0).back();
    EXPECT_LT(Difference(last.weights, alone.weights), is_double ? 1e-10 : 1e-4 * Most(alone.weights)) << gpus;
    EXPECT_LT(Difference(last.positions, alone.positions), is_double ? 1e-10 : 1e-3) << gpus;
  }

  std::vector<std::string> records_;
};

TYPED_TEST_CASE(SeveralGPUsTest, TestDtypes);

TYPED_TEST(SeveralGPUsTest, TrainAsOneWithAllTheirImages) {
  this->Write(this->records_);
  for (const std::string passes : {"", "iter_size: 2 "}) {
    const std::vector<RecordedStep<TypeParam>> alone = this->Train(1, passes).at(0);
    ASSERT_EQ(alone.size(), static_cast<size_t>(this->kIterations));
    // There is something to see: positions stand still as long as they should, and then move.
    EXPECT_EQ(this->Difference(alone[0].positions, alone[this->kWarmup - 1].positions), 0);
    EXPECT_GT(this->Difference(alone[0].positions, alone.back().positions), 0.1);
    for (int gpus : this->Numbers()) {
      for (const char* reduce : {"layer_wise_reduce: true", "layer_wise_reduce: false"}) {
        if (!passes.empty() && gpus == 4) continue;  // of which there is nothing new to learn
        this->ExpectAgrees(this->Train(gpus, passes + reduce), alone.back(), gpus);
      }
    }
  }
}

TYPED_TEST(SeveralGPUsTest, EachReadsItsShareOfTheRecords) {
  this->Write(this->records_);
  for (int gpus : this->Numbers()) {
    for (const auto& rank : this->Train(gpus, "max_iter: 10")) {
      ASSERT_EQ(rank.second.size(), 10u);
      int place = rank.first;
      for (const RecordedStep<TypeParam>& step : rank.second) {
        ASSERT_EQ(step.labels.size(), static_cast<size_t>(this->kBatch / gpus));
        for (TypeParam label : step.labels) {
          EXPECT_EQ(label, place % this->kRecords);
          place += gpus;
        }
      }
    }
  }
}

TYPED_TEST(SeveralGPUsTest, ATrainingGoesOnWithAnyNumberOfThem) {
  this->Write(this->records_);
  std::vector<int> numbers = this->Numbers();
  if (numbers.empty()) return;
  const RecordedStep<TypeParam> alone = this->Train(1).at(0).back(), whole = this->Train(2).at(0).back();
  this->Train(2, "max_iter: 7");
  numbers.push_back(1);
  for (int gpus : numbers) {
    const auto resumed = this->Train(gpus, "", this->Snapshot(7));
    EXPECT_EQ(resumed.at(0).size(), this->kIterations - 7u);
    this->ExpectAgrees(resumed, alone, gpus);
    if (gpus == 2) EXPECT_TRUE(resumed.at(0).back() == whole);
  }
}

TYPED_TEST(SeveralGPUsTest, AllStopAfterTheSameIteration) {
  this->Write(this->records_);
  for (int gpus : this->Numbers()) {
    const auto record = this->Train(gpus, "snapshot: 1000", "", [](int iter) {
      return iter == 4 ? SolverAction::SNAPSHOT : iter == 6 ? SolverAction::STOP : SolverAction::NONE;
    });
    ASSERT_EQ(record.size(), static_cast<size_t>(gpus));
    // Asked in iteration 6, at whose beginning so many updates have been made, all stop at its end.
    for (const auto& rank : record) EXPECT_EQ(rank.second.size(), 7u) << rank.first;
    for (int iteration : {5, 7}) EXPECT_TRUE(boost::filesystem::remove(this->Snapshot(iteration))) << iteration;
  }
}

// Record 9 is met in the second iteration; with 10 records those of rank r of N are r, r + N, ...
TYPED_TEST(SeveralGPUsTest, AFailureOfOneEndsAllAndNamesIt) {
  struct Case {
    int record;
    std::string value, words;
  };
  const std::string no_class = this->Image(5, 77);  // of which a GPU makes a loss that is NaN
  const std::vector<Case> cases = {{9, "damage", "Layer 'data': record \"9\""},
                                   {8, "damage", "Layer 'data': record \"8\""},
                                   {9, no_class, "the loss of iteration 1 is "},
                                   {8, no_class, "the loss of iteration 1 is "}};
  for (const Case& failing : cases) {
    boost::filesystem::remove_all(this->source_);
    std::vector<std::string> records = this->records_;
    records[failing.record] = failing.value;
    this->Write(records);
    for (int gpus : this->Numbers()) {
      EXPECT_ERROR(this->Train(gpus, "test_initialization: false snapshot: 1"),
                   "^GPU " + std::to_string(failing.record % gpus) + ": .*" + failing.words);
      EXPECT_EQ(LastGoodSnapshot(this->folder_ + "/s"), this->Snapshot(1));
      boost::filesystem::remove(this->Snapshot(1));
    }
  }
}

TYPED_TEST(SeveralGPUsTest, MistakesAreTold) {
  this->Write(this->records_);
  const shared_ptr<Solver<TypeParam>> solver(SolverRegistry<TypeParam>::CreateSolver(this->Param(1, "")));
  NCCL<TypeParam> nccl(solver);
  EXPECT_ERROR(nccl.Run({0, 0}, nullptr), "GPU 0 is named twice");
  EXPECT_ERROR(nccl.Run({0, 1000}, nullptr), "there is no GPU 1000");
}

}  // namespace caffe
#endif  // USE_NCCL
