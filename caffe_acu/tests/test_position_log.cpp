// What the solver writes into position_log: the blobs at every iteration that is due, once, whatever happens to
// the run or the file.
#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "boost/filesystem.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/tests/mode_case.hpp"

namespace caffe {

class PositionLogTest : public ModeCase {
 protected:
  typedef shared_ptr<Solver<float>> SolverPtr;
  typedef std::vector<float> Values;
  typedef std::map<int64_t, Values> Records;

  void SetUp() override {
    ModeCase::SetUp();
    path_ = folder_ + "/positions.log";
  }

  // Layers of one set of 9 synapses, and of two sets of 2, that are to map constant images onto zeros.
  SolverPtr Make(const std::string& more = "", const std::string& acu = "kernel_size: 3 pad: 1") {
    const std::string learn = "param { } param { } param { decay_mult: 0 } param { decay_mult: 0 } ";
    const std::string text =
        "lr_policy: 'fixed' base_lr: 0.02 max_iter: 7 display: 0 random_seed: 3 snapshot_after_train: false "
        "snapshot_prefix: '" + folder_ + "/s' position_log: '" + path_ + "' " + more +
        " train_net_param { "
        "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 2 dim: 2 dim: 5 dim: 5 } } } "
        "layer { name: 't' type: 'Input' top: 't' input_param { shape { dim: 2 dim: 2 dim: 5 dim: 5 } } } "
        "layer { name: 'one' type: 'ACU' bottom: 'x' top: 'y' " + learn + "convolution_param { num_output: 2 " + acu +
        " weight_filler { type: 'msra' } } acu_param { warmup_iter: 2 } } "
        "layer { name: 'two/sets' type: 'GroupedACU' bottom: 'y' top: 'z' " + learn +
        "convolution_param { num_output: 2 group: 2 weight_filler { type: 'msra' } } "
        "acu_param { position { x: 0.5 } position { y: -0.5 } fixed_synapse: 1 } } "
        "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'z' bottom: 't' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    return Make(param);
  }
  static SolverPtr Make(const SolverParameter& param) {
    const SolverPtr solver(SolverRegistry<float>::CreateSolver(param));
    Blob<float>* x = solver->net()->blob_by_name("x").get();
    for (int i = 0; i < x->count(); ++i) x->mutable_cpu_data()[i] = std::sin(1.f + 3 * i);
    return solver;
  }
  void Restore(const SolverPtr& solver, int iter) const {
    solver->Restore((folder_ + "/s_iter_" + std::to_string(iter) + ".solverstate").c_str());
  }
  static Values Positions(const SolverPtr& solver) {
    Values values;
    for (const char* layer : {"one", "two/sets"}) {
      for (int blob : {2, 3}) {
        const Blob<float>& positions = *solver->net()->layer_by_name(layer)->blobs()[blob];
        values.insert(values.end(), positions.cpu_data(), positions.cpu_data() + positions.count());
      }
    }
    return values;
  }

  std::string Content() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  void SetContent(const std::string& content) const { std::ofstream(path_, std::ios::binary) << content; }
  // As the format is described, by hand.
  static std::string Header() {
    const auto number = [](int value) { return std::string{char(value), 0, 0, 0}; };
    const auto minus = [](int value) { return std::string{char(-value), char(-1), char(-1), char(-1)}; };
    return "ACUPOSLG" + number(1) + number(2) +
           number(3) + "one" + number(3) + "ACU" + number(1) + number(3) + number(3) + minus(2) + number(2) +
           number(8) + "two/sets" + number(10) + "GroupedACU" + number(2) + number(1) + number(2) + number(1) +
           number(0);
  }
  static constexpr size_t kValues = 2 * 9 + 2 * 4, kRecord = 8 + 4 * kValues + 4;
  // The whole file must be records, in order.
  Records Read() const {
    const std::string content = Content();
    EXPECT_EQ(content.substr(0, Header().size()), Header());
    EXPECT_EQ((content.size() - Header().size()) % kRecord, 0);
    Records records;
    for (size_t place = Header().size(); place + kRecord <= content.size(); place += kRecord) {
      int64_t iteration;
      std::memcpy(&iteration, &content[place], 8);
      EXPECT_TRUE(records.empty() || records.rbegin()->first < iteration);
      Values& values = records[iteration] = Values(kValues);
      std::memcpy(values.data(), &content[place + 8], 4 * kValues);
      uint32_t checksum;
      std::memcpy(&checksum, &content[place + kRecord - 4], 4);
      EXPECT_EQ(checksum, Crc(content.substr(place, kRecord - 4)));
    }
    return records;
  }
  // Bit by bit, as the polynomial of CRC-32 (IEEE 802.3) says.
  static uint32_t Crc(const std::string& bytes) {
    uint32_t crc = 0xffffffff;
    for (unsigned char byte : bytes) {
      crc ^= byte;
      for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    return ~crc;
  }
  static std::vector<int64_t> Iterations(const Records& records) {
    std::vector<int64_t> iterations;
    for (const auto& record : records) iterations.push_back(record.first);
    return iterations;
  }
  std::string path_;
};

constexpr size_t PositionLogTest::kValues, PositionLogTest::kRecord;

TEST_P(PositionLogTest, ARecordHoldsTheBlobsBeforeTheUpdate) {
  const SolverPtr solver = Make("position_interval: 1");
  Records expected;
  for (int i = 0; i < 7; ++i) {
    expected[i] = Positions(solver);
    solver->Step(1);
    if (i == 6) expected[7] = Positions(solver);  // max_iter
    EXPECT_EQ(Read(), expected) << i;             // at once
  }
  EXPECT_EQ(expected[1][0], expected[0][0]);  // warm-up
  EXPECT_NE(expected[3], expected[2]);
}

TEST_P(PositionLogTest, EveryIntervalAndTheEnd) {
  const SolverPtr solver = Make("position_interval: 3");
  solver->Step(7);
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 3, 6, 7}));
  solver->Step(3);  // beyond the end, which was none
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 3, 6, 9}));
  EXPECT_EQ(SolverParameter().position_interval(), 100);
  const SolverPtr even = Make("position_interval: 7");
  even->Step(7);
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 7}));
}

TEST_P(PositionLogTest, SeveralPassesAreOneIteration) {
  const SolverPtr solver = Make("position_interval: 2 iter_size: 3");
  Records expected{{0, Positions(solver)}};
  solver->Step(2);
  expected[2] = Positions(solver);
  solver->Step(2);
  EXPECT_EQ(Read(), expected);
}

TEST_P(PositionLogTest, AnyTypeOfSolver) {
  for (const char* type : {"Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    const SolverPtr solver = Make(std::string("position_interval: 5 type: '") + type + "'");
    const Values start = Positions(solver);
    solver->Step(7);
    EXPECT_EQ(Read(), (Records{{0, start}, {5, Read()[5]}, {7, Positions(solver)}})) << type;
  }
}

TEST_P(PositionLogTest, AResumedRunWritesWhatAnUninterruptedOneWrites) {
  const std::string fields = "position_interval: 2 momentum: 0.9";
  Make(fields)->Step(7);
  const std::string whole = Content();
  for (int snapshot = 0; snapshot < 7; ++snapshot) {
    for (int killed = snapshot; killed <= 7; ++killed) {
      const SolverPtr first = Make(fields);
      first->Step(snapshot);
      first->Snapshot();
      first->Step(killed - snapshot);
      const SolverPtr second = Make(fields);
      Restore(second, snapshot);
      second->Step(7 - snapshot);
      EXPECT_EQ(Content(), whole) << snapshot << " " << killed;
    }
  }
}

TEST_P(PositionLogTest, ASolverThatIsTakenBackCutsOffWhatItLeft) {
  const SolverPtr solver = Make("position_interval: 2");
  solver->Step(3);
  solver->Snapshot();
  solver->Step(3);
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 2, 4}));
  Restore(solver, 3);
  solver->Step(1);
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 2}));
}

TEST_P(PositionLogTest, TornAndDamagedTailsAreCutOff) {
  const SolverPtr whole = Make("position_interval: 1");
  whole->Step(4);
  whole->Snapshot();
  const std::string content = Content();
  const size_t size = content.size();
  std::vector<std::string> files;
  for (size_t cut = 1; cut <= kRecord; cut += 5) files.push_back(content.substr(0, size - cut));
  for (size_t flipped : {size - 1, size - 50, size - kRecord}) {
    files.push_back(content);
    files.back()[flipped] ^= 4;
  }
  files.push_back(content.substr(0, size - kRecord) + std::string(kRecord, '\0'));  // a power cut may leave this
  for (const std::string& file : files) {
    SetContent(file);
    const SolverPtr solver = Make("position_interval: 1");
    Restore(solver, 4);
    solver->Step(1);
    EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 1, 2, 4}));
  }
  for (size_t header : {size_t(0), size_t(5), Header().size() - 1, Header().size()}) {
    SetContent(content.substr(0, header));
    const SolverPtr solver = Make("position_interval: 1");
    Restore(solver, 4);
    solver->Step(1);
    EXPECT_EQ(Iterations(Read()), std::vector<int64_t>{4});
  }
}

TEST_P(PositionLogTest, ANewRunBeginsAnew) {
  Make("position_interval: 1", "kernel_size: 5 pad: 2")->Step(3);  // another network's
  Make("position_interval: 4")->Step(6);
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 4}));
}

TEST_P(PositionLogTest, OtherFilesAreRefused) {
  const SolverPtr first = Make("position_interval: 1");
  first->Step(2);
  first->Snapshot();
  Make("position_interval: 1", "kernel_size: 5 pad: 2")->Step(1);
  const std::string others = Content();
  const SolverPtr second = Make("position_interval: 1");
  Restore(second, 2);
  // Where other threads live, a fork cannot train.
  EXPECT_ERROR(second->ApplyUpdate(), "positions.log: the position log of another network");
  EXPECT_EQ(Content(), others);
  SetContent("layer { }");
  EXPECT_ERROR(second->ApplyUpdate(), "positions.log: is no position log");
  EXPECT_ERROR(Make()->ApplyUpdate(), "positions.log: is no position log");
  EXPECT_EQ(Content(), "layer { }");
  SetContent("");
  EXPECT_ERROR(Make("position_interval: 0")->ApplyUpdate(), "position_interval is 0; it must be at least 1");
}

TEST_P(PositionLogTest, TrainingGoesOnWithoutALog) {
  const SolverPtr whole = Make("position_interval: 1");
  whole->Step(7);
  path_ = folder_ + "/nowhere/positions.log";
  const SolverPtr solver = Make("position_interval: 1");
  FLAGS_logtostderr = true;
  ::testing::internal::CaptureStderr();
  solver->Step(7);
  FLAGS_logtostderr = false;
  const std::string log = ::testing::internal::GetCapturedStderr();
  const size_t warning = log.find("/nowhere/positions.log: positions cannot be logged: No such file or directory. ");
  EXPECT_NE(warning, std::string::npos) << log;
  EXPECT_EQ(log.find("/nowhere/positions.log", warning + 1), std::string::npos) << log;
  EXPECT_EQ(Positions(solver), Positions(whole));
}

TEST_P(PositionLogTest, AFullDiskLeavesWholeRecordsAndATail) {
  const SolverPtr solver = Make("position_interval: 1");
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit limit = before;
  limit.rlim_cur = Header().size() + 2 * kRecord + kRecord / 2;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  solver->Step(7);  // the warning is in a file of its own: standard error has the limit too where it is one
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(Content().size(), limit.rlim_cur);
  SetContent(Content().substr(0, Header().size() + 2 * kRecord));
  EXPECT_EQ(Iterations(Read()), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(solver->iter(), 7);
}

TEST_P(PositionLogTest, OthersThanTheRootWriteNothing) {
  const SolverPtr solver = Make();
  Caffe::set_solver_rank(1);
  solver->Step(7);
  Caffe::set_solver_rank(0);
  EXPECT_FALSE(boost::filesystem::exists(path_));
}

TEST_P(PositionLogTest, NetsWithoutPositionsWriteNothing) {
  SolverParameter param = Make()->param();
  for (int i : {2, 3}) {
    LayerParameter* layer = param.mutable_train_net_param()->mutable_layer(i);
    layer->set_type("Convolution");
    layer->clear_acu_param();
    layer->mutable_param()->DeleteSubrange(2, 2);
    layer->mutable_convolution_param()->clear_kernel_size();
    layer->mutable_convolution_param()->clear_pad();
    layer->mutable_convolution_param()->add_kernel_size(1);
  }
  Make(param)->Step(7);
  EXPECT_FALSE(boost::filesystem::exists(path_));
}

INSTANTIATE_MODES(PositionLogTest);

}  // namespace caffe
