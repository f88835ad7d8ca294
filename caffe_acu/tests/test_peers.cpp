// Several solvers that train one network, each in a thread, against one that does it alone.
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "caffe/layers/memory_data_layer.hpp"
#include "caffe/solver.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe_acu/parallel/peers.hpp"
#include "caffe_acu/parallel/thread_group.hpp"
#include "caffe_acu/tests/data_layer_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"

namespace caffe {

class PeersTest : public DataLayerCase {
 protected:
  typedef std::vector<double> Values;
  typedef std::function<void(Solver<double>*)> Act;
  static constexpr int kIterations = 20;

  void SetUp() override {
    DataLayerCase::SetUp();
    std::vector<std::string> values;
    for (int i = 0; i < 10; ++i) {
      Datum datum;
      datum.set_channels(2);
      datum.set_height(8);
      datum.set_width(8);
      datum.set_label(i % 3);
      for (int p = 0; p < 128; ++p) datum.add_float_data(std::sin(1.7 * i + 0.3 * p * (1 + i % 3)));
      values.push_back(datum.SerializeAsString());
    }
    Write(values);
  }

  // A net with everything that has a step of its own, whose training batches have `batch` images.
  SolverParameter Param(int batch, const std::string& more = "", const std::string& layers = "") const {
    const auto data = [this](const char* phase, int size, const char* order) {
      return std::string("layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: ") + phase +
             " } transform_param { crop_size: 6 mirror: true } data_param { source: '" + source_ +
             "' backend: LMDB batch_size: " + std::to_string(size) + order + " } } ";
    };
    const auto acu = [](const char* name, const char* type, const char* bottom, const char* more) {
      return std::string("layer { name: '") + name + "' type: '" + type + "' bottom: '" + bottom + "' top: '" + name +
             "' param { name: '" + name + "w' } param { lr_mult: 2 } param { lr_mult: 0.5 } param { lr_mult: 0.5 } "
             "convolution_param { num_output: 4 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } " + more + " } "
             "acu_param { warmup_iter: 5 position_noise: 0.3 } } ";
    };
    const std::string text =
        "base_lr: 0.02 lr_policy: 'fixed' momentum: 0.9 weight_decay: 0.01 clip_gradients: 3 random_seed: 5 "
        "test_iter: 3 test_interval: 10 snapshot_after_train: false snapshot: 1000 snapshot_prefix: '" + folder_ +
        "/s' max_iter: " + std::to_string(kIterations) + " " + more + " net_param { " +
        data("TRAIN", batch, order_.c_str()) + data("TEST", 4, "") + acu("a", "ACU", "data", "") + layers +
        acu("b", "GroupedACU", "a", "group: 2") + acu("c", "GroupedACU", "b", "group: 4") +
        // Weights that two layers share.
        "layer { name: 'd' type: 'Convolution' bottom: 'c' top: 'd' param { name: 's' } param { name: 't' } "
        "convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: 'msra' } } } "
        "layer { name: 'relu' type: 'ReLU' bottom: 'd' top: 'd' } "
        "layer { name: 'e' type: 'Convolution' bottom: 'd' top: 'e' param { name: 's' } param { name: 't' } "
        "convolution_param { num_output: 4 kernel_size: 1 } } "
        "layer { name: 'score' type: 'InnerProduct' bottom: 'e' top: 'score' "
        "inner_product_param { num_output: 3 weight_filler { type: 'xavier' } } } "
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'score' bottom: 'label' top: 'loss' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    return param;
  }

  // Parameters after training, or after `act` in place of it, for each of `ranks` solvers in a thread of its own.
  // What one of them throws ends all, and is thrown.
  std::vector<Values> Together(int ranks, const SolverParameter& param, const PeersOptions& options = PeersOptions(),
                               const Act& act = Peers<double>::Solve,
                               const std::function<SolverAction::Enum(int rank, int iter)>& request = nullptr) {
    ThreadGroup group(ranks);
    std::vector<Values> results(ranks);
    std::vector<std::string> errors(ranks);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        try {
          Caffe::set_solver_count(ranks);
          Caffe::set_solver_rank(rank);
          const std::unique_ptr<Communicator> others = group.Member(rank);
          SolverParameter own = param;
          std::string restore = restore_;
          if (differ_) differ_(rank, &own, &restore);
          const shared_ptr<Solver<double>> solver(SolverRegistry<double>::CreateSolver(own));
          if (!restore.empty()) solver->Restore(restore.c_str());
          Peers<double>::Join(solver.get(), others.get(), [&, rank] {
            return request ? request(rank, solver->iter()) : SolverAction::NONE;
          }, options);
          act(solver.get());
          results[rank] = Parameters(solver.get());
        } catch (const std::exception& error) {
          errors[rank] = error.what();
          group.Abort("rank " + std::to_string(rank) + " has failed");
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::string words;
    for (int rank = 0; rank < ranks; ++rank) {
      if (!errors[rank].empty()) words += std::to_string(rank) + ": " + errors[rank] + " ";
    }
    LOG_IF(FATAL, !words.empty()) << words;
    return results;
  }

  static Values Parameters(Solver<double>* solver) {
    Values values;
    for (const Blob<double>* blob : solver->net()->learnable_params()) {
      values.insert(values.end(), blob->cpu_data(), blob->cpu_data() + blob->count());
    }
    return values;
  }

  Values Alone(const SolverParameter& param) const {
    const shared_ptr<Solver<double>> solver(SolverRegistry<double>::CreateSolver(param));
    if (!restore_.empty()) solver->Restore(restore_.c_str());
    solver->Solve();
    return Parameters(solver.get());
  }

  static double Difference(const Values& a, const Values& b) {
    EXPECT_EQ(a.size(), b.size());
    double most = 0;
    for (size_t i = 0; i < a.size(); ++i) most = std::max(most, std::abs(a[i] - b[i]));
    return most;
  }

  // The losses of all tests that are logged meanwhile.
  static Values TestLosses(const std::function<void()>& body) {
    struct Sink : google::LogSink {
      Sink() {
        FLAGS_minloglevel = google::GLOG_INFO;
        google::AddLogSink(this);
      }
      ~Sink() override {
        google::RemoveLogSink(this);
        FLAGS_minloglevel = level;
      }
      void send(google::LogSeverity, const char*, const char*, int, const struct ::tm*, const char* message,
                size_t length) override {
        const std::string line(message, length), begin = "    Test net output #0: loss = ";
        if (line.compare(0, begin.size(), begin) == 0) losses.push_back(std::stod(line.substr(begin.size())));
      }
      const int level = FLAGS_minloglevel;
      Values losses;  // glog sends one at a time
    } sink;
    body();
    return sink.losses;
  }

  std::string order_ = " shuffle: true", restore_;
  std::function<void(int rank, SolverParameter*, std::string* restore)> differ_;
};

TEST_F(PeersTest, SmallBatchesTogetherTrainAsOneLargeBatchAlone) {
  for (const char* order : {" shuffle: true", ""}) {
    order_ = order;
    for (const char* more : {"", "iter_size: 2", "type: 'Adam' momentum2: 0.999"}) {
      SolverParameter large = Param(4, more);
      if (large.type() == "Adam") large.clear_clip_gradients();
      const Values alone = Alone(large);
      for (int ranks : {2, 4}) {
        SolverParameter small = large;
        small.mutable_net_param()->mutable_layer(0)->mutable_data_param()->set_batch_size(4 / ranks);
        for (size_t bytes : {0, 1, 500}) {
          PeersOptions options;
          options.message_bytes = bytes;
          const std::vector<Values> together = Together(ranks, small, options);
          EXPECT_LT(Difference(together[0], alone), 1e-10) << order << more << " " << ranks << " " << bytes;
          for (int rank = 1; rank < ranks; ++rank) EXPECT_TRUE(together[rank] == together[0]) << ranks << " " << rank;
        }
      }
    }
  }
}

TEST_F(PeersTest, ATrainingGoesOnWithAnotherNumberOfRanks) {
  const Values alone = Alone(Param(4));
  SolverParameter begun = Param(4);
  begun.set_max_iter(7);
  begun.set_snapshot_after_train(true);
  begun.mutable_net_param()->mutable_layer(0)->mutable_data_param()->set_batch_size(2);
  Together(2, begun);
  restore_ = folder_ + "/s_iter_7.solverstate";
  EXPECT_LT(Difference(Alone(Param(4)), alone), 1e-10);
  EXPECT_LT(Difference(Together(4, Param(1))[3], alone), 1e-10);
}

TEST_F(PeersTest, AllStopAfterTheIterationInWhichOneIsAsked) {
  for (int asked : {0, 1, 2}) {
    std::vector<int> stopped(3);
    Together(3, Param(1), PeersOptions(), [&](Solver<double>* solver) {
      Peers<double>::Solve(solver);
      stopped[Caffe::solver_rank()] = solver->iter();
    }, [&](int rank, int iter) { return rank == asked && iter == 6 ? SolverAction::STOP : SolverAction::NONE; });
    EXPECT_EQ(stopped, std::vector<int>(3, 7)) << asked;
    EXPECT_TRUE(boost::filesystem::remove(folder_ + "/s_iter_7.solverstate"));
  }
}

TEST_F(PeersTest, Rank0TakesASnapshotWhoeverIsAskedForIt) {
  differ_ = [this](int rank, SolverParameter* param, std::string*) {
    param->set_snapshot_prefix(folder_ + "/of" + std::to_string(rank));
  };
  Together(2, Param(1), PeersOptions(), Peers<double>::Solve,
           [](int rank, int iter) { return rank == 1 && iter == 3 ? SolverAction::SNAPSHOT : SolverAction::NONE; });
  EXPECT_TRUE(boost::filesystem::exists(folder_ + "/of0_iter_4.solverstate"));
  EXPECT_FALSE(boost::filesystem::exists(folder_ + "/of1_iter_4.solverstate"));
}

TEST_F(PeersTest, StopsInTheMidstOfATest) {
  int tests = 0;
  std::vector<int> stopped(2);
  Together(2, Param(1), PeersOptions(), [&](Solver<double>* solver) {
    Peers<double>::Solve(solver);
    stopped[Caffe::solver_rank()] = solver->iter();
  }, [&](int rank, int iter) {
    // Asked after each iteration and each batch of a test; the test at 10 comes after that of iteration 9.
    return rank == 1 && iter == 10 && tests++ == 0 ? SolverAction::STOP : SolverAction::NONE;
  });
  EXPECT_EQ(stopped, std::vector<int>(2, 10));
}

TEST_F(PeersTest, WhenOneFailsNobodyWaitsForEver) {
  EXPECT_ERROR(Together(3, Param(1), PeersOptions(), [](Solver<double>* solver) {
    solver->Step(3);
    LOG_IF(FATAL, Caffe::solver_rank() == 1) << "out of luck";
    solver->Step(3);
  }), "0: rank 1 has failed .* 1: out of luck .* 2: rank 1 has failed");
}

TEST_F(PeersTest, RanksThatDoNotBeginAlikeAreRefused) {
  SolverParameter begun = Param(4);
  begun.set_max_iter(3);
  begun.set_snapshot_after_train(true);
  Alone(begun);
  differ_ = [this](int rank, SolverParameter*, std::string* restore) {
    if (rank) *restore = folder_ + "/s_iter_3.solverstate";
  };
  EXPECT_ERROR(Together(2, Param(1)), "1: rank 1 has 3 iterations already; .* Rank 0 has 0");
  differ_ = [](int rank, SolverParameter* param, std::string*) {
    if (rank) param->mutable_net_param()->mutable_layer(2)->mutable_convolution_param()->set_num_output(8);
  };
  EXPECT_ERROR(Together(2, Param(1)), "learnable parameters; do they all read the same prototxt");
}

TEST_F(PeersTest, ParametersThatAreNoLongerTheSameAreNoticed) {
  for (int test_interval : {10, 1000}) {  // at a test, and at the end
    SolverParameter param = Param(1);
    param.set_test_interval(test_interval);
    const std::string iteration = std::to_string(std::min(test_interval, kIterations + 0));
    EXPECT_ERROR(Together(3, param, PeersOptions(), [](Solver<double>* solver) {
      solver->Step(3);
      if (Caffe::solver_rank() == 2) solver->net()->learnable_params()[0]->mutable_cpu_data()[0] += 1e-9;
      Peers<double>::Solve(solver);
    }), "2: rank 2 has [0-9]+ as the checksum of its parameters at iteration " + iteration);
  }
}

// Each rank normalizes by its own statistics in training, and by those of rank 0, which are saved, in tests.
TEST_F(PeersTest, TestsAreSharedAndCountEachBatchOnce) {
  const std::string norm = "layer { name: 'norm' type: 'BatchNorm' bottom: 'a' top: 'a' } ";
  for (int ranks : {1, 2, 3, 4}) {
    SolverParameter param = Param(2, "", norm);
    param.set_max_iter(10);
    param.set_snapshot_after_train(true);
    const Values together = TestLosses([&] {
      const std::vector<Values> parameters = Together(ranks, param);
      for (int rank = 1; rank < ranks; ++rank) EXPECT_TRUE(parameters[rank] == parameters[0]);
    });
    restore_ = folder_ + "/s_iter_10.solverstate";
    const Values alone = TestLosses([&] { Alone(param); });
    restore_.clear();
    ASSERT_EQ(together.size(), 2u);  // at 0 and 10; all ranks know them, one logs them
    ASSERT_EQ(alone.size(), 1u);
    EXPECT_NEAR(together[1], alone[0], 1e-5 * alone[0]) << ranks;
    param.set_max_iter(11);  // an iteration after the test
    const std::vector<Values> parameters = Together(ranks, param);
    for (int rank = 1; rank < ranks; ++rank) EXPECT_FALSE(parameters[rank] == parameters[0]);
  }
}

// Others than Data layers give all ranks the same.
TEST_F(PeersTest, ATestWhoseBatchesCannotBeDealtOutIsThatOfRank0) {
  const std::string memory =
      "layer { name: 'memory' type: 'MemoryData' top: 'm' top: 'n' include { phase: TEST } "
      "memory_data_param { batch_size: 1 channels: 1 height: 1 width: 1 } } "
      "layer { name: 'silence' type: 'Silence' bottom: 'm' bottom: 'n' include { phase: TEST } } ";
  const auto losses = [&](int ranks) {
    return TestLosses([&] {
      Together(ranks, Param(1, "", memory), PeersOptions(), [](Solver<double>* solver) {
        double number = 1;
        const auto layer = solver->test_nets()[0]->layer_by_name("memory");
        // Who has nothing to read would throw.
        if (Caffe::root_solver()) dynamic_cast<MemoryDataLayer<double>&>(*layer).Reset(&number, &number, 1);
        solver->Step(1);  // after a test
      });
    });
  };
  const Values alone = losses(1);
  ASSERT_EQ(alone.size(), 1u);
  for (double loss : losses(3)) EXPECT_NEAR(loss, alone[0], 1e-5 * alone[0]);
}

TEST_F(PeersTest, BatchesAreDealtOutInTurn) {
  LayerParameter param = DataLayerCase::Param(3);
  param.set_phase(caffe::TEST);
  const auto labels = [&](int share, int shares, int batches) {
    Blob<float> images, labels;
    DataLayer<float> layer(param);
    layer.SetUp({}, {&images, &labels});
    layer.ShareBatches(share, shares);
    std::vector<std::vector<float>> read;
    for (int i = 0; i < batches; ++i) {
      layer.Forward({}, {&images, &labels});
      read.emplace_back(labels.cpu_data(), labels.cpu_data() + 3);
    }
    DataState place;
    layer.SavePlace(&place);
    EXPECT_EQ(place.records(), uint64_t(3 * shares * batches));
    return read;
  };
  const auto alone = labels(0, 1, 12);
  for (int shares : {2, 3, 4}) {
    for (int share = 0; share < shares; ++share) {
      const auto dealt = labels(share, shares, 12 / shares);
      for (int i = 0; i < 12 / shares; ++i) EXPECT_EQ(dealt[i], alone[shares * i + share]) << shares << " " << share;
    }
  }
}

TEST(ThreadGroupTest, SumsAndBroadcastsForAll) {
  for (int size : {1, 2, 5}) {
    ThreadGroup group(size);
    std::vector<std::vector<double>> values(size);
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      for (int i = 0; i < 7; ++i) values[rank].push_back(1 << (rank + i));
      threads.emplace_back([&, rank] {
        const std::unique_ptr<Communicator> others = group.Member(rank);
        others->StartSum(values[rank].data(), 7);
        others->Finish();
        if (rank) values[rank].resize(8);
        if (rank == 0) values[rank].push_back(42);
        others->Broadcast(&values[rank][7], sizeof(double));
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const std::vector<double>& sums : values) {
      for (int i = 0; i < 7; ++i) EXPECT_EQ(sums[i], ((1 << size) - 1) * (1 << i));
      EXPECT_EQ(sums[7], 42);
    }
  }
}

}  // namespace caffe
