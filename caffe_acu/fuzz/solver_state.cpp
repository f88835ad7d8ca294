// Solverstates, of which a training goes on.
#include "boost/filesystem.hpp"
#include "caffe/util/io.hpp"
#include "caffe_acu/fuzz/input_file.hpp"
#include "caffe_acu/fuzz/small_solver.hpp"
#include "caffe_acu/fuzz/targets.hpp"

namespace caffe {
namespace fuzz {
namespace {

void Run(std::string_view input) {
  SolverState state;
  const bool parsed = state.ParseFromArray(input.data(), static_cast<int>(input.size()));
  state.clear_learned_net();  // weights are another target's
  const InputFile file(parsed ? state.SerializeAsString() : input);
  SmallSolver solver;
  solver.Restore(file.path());
  solver.Train();
}

std::vector<std::string> Seeds() {
  const boost::filesystem::path folder = boost::filesystem::unique_path("/tmp/caffe-acu-seeds-%%%%%%%%");
  boost::filesystem::create_directory(folder);
  SolverState state;
  {
    SmallSolver solver;
    solver.Train();
    SolverParameter param = solver.get()->param();
    param.set_snapshot_prefix((folder / "x").string());
    SGDSolver<float> saving(param);
    saving.Snapshot();
    ReadProtoFromBinaryFileOrDie((folder / "x_iter_0.solverstate").string(), &state);
  }
  boost::filesystem::remove_all(folder);
  state.clear_learned_net();
  std::vector<std::string> seeds = {state.SerializeAsString()};
  state.clear_training_state();
  state.set_iter(1000000);
  state.set_current_step(100000);
  seeds.push_back(state.SerializeAsString());
  return seeds;
}

std::unique_ptr<google::protobuf::Message> Message() { return std::make_unique<SolverState>(); }

}  // namespace

extern const Target kSolverState = {"solverstate", &Run, &Message, false, &Seeds};

}  // namespace fuzz
}  // namespace caffe
