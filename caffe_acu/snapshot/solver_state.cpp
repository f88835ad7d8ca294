#include "caffe_acu/snapshot/solver_state.hpp"

#include <glog/logging.h>
#include <google/protobuf/text_format.h>

#include <climits>

#include "boost/filesystem.hpp"
#include "caffe/util/io.hpp"

namespace caffe {

namespace fs = boost::filesystem;
using google::protobuf::TextFormat;

void ReadSolverState(const std::string& path, SolverState* state) {
  // The last field that Caffe writes is always there.
  LOG_IF(FATAL, !ReadProtoFromBinaryFile(path, state) || !state->has_current_step())
      << path << ": no solverstate, or a damaged one. Take another snapshot.";
  CountOf(path, "iter", state->iter());
  CountOf(path, "current_step", state->current_step());
}

int CountOf(const std::string& path, const char* name, int count) {
  // What a training goes on for is added to it.
  LOG_IF(FATAL, count < 0 || count > INT_MAX / 2) << path << ": damaged: " << name << " is " << count
                                                  << ". Take another snapshot.";
  return count;
}

std::string WeightsOf(const std::string& state_path, const std::string& learned_net) {
  const fs::path beside = fs::path(state_path).parent_path() / fs::path(learned_net).filename();
  return !fs::exists(learned_net) && fs::exists(beside) ? beside.string() : learned_net;
}

void CheckHistory(const std::string& path, int saved_blobs, int blobs) {
  LOG_IF(FATAL, saved_blobs != blobs) << path << ": of another network or type of solver: it has " << saved_blobs
                                      << " blobs of history, here there are " << blobs;
}

template <typename Dtype>
void CheckHistory(const std::string& path, const SolverState& state,
                  const std::vector<shared_ptr<Blob<Dtype>>>& blobs) {
  CheckHistory(path, state.history_size(), static_cast<int>(blobs.size()));
  for (size_t i = 0; i < blobs.size(); ++i) {
    if (blobs[i]->ShapeEquals(state.history(i))) continue;
    Blob<Dtype> saved;
    saved.FromProto(state.history(i));
    LOG(FATAL) << path << ": of another network: the history of its parameter " << i << " has the shape "
               << saved.shape_string() << ", here " << blobs[i]->shape_string();
  }
}

std::string TrainingStateText(const SolverState& state) {
  std::string text;
  CHECK(TextFormat::PrintToString(state.training_state(), &text));
  return text;
}

void ReadTrainingState(const std::string& text, SolverState* state) {
  LOG_IF(FATAL, !TextFormat::ParseFromString(text, state->mutable_training_state())) << "the solverstate is damaged";
}

template void CheckHistory(const std::string&, const SolverState&, const std::vector<shared_ptr<Blob<float>>>&);
template void CheckHistory(const std::string&, const SolverState&, const std::vector<shared_ptr<Blob<double>>>&);

}  // namespace caffe
