#ifndef CAFFE_ACU_SNAPSHOT_SOLVER_STATE_HPP_
#define CAFFE_ACU_SNAPSHOT_SOLVER_STATE_HPP_

#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Throws Error for what is no solverstate, or one that is cut off.
void ReadSolverState(const std::string& path, SolverState* state);

/// `count`, which is called `name` in the file, if a training can have come so far; else throws Error.
int CountOf(const std::string& path, const char* name, int count);

/// The file of the weights that a solverstate names, which may have moved together with it.
std::string WeightsOf(const std::string& state_path, const std::string& learned_net);

/// Throws Error if the history is not that of this network and type of solver. Call it before anything is changed.
void CheckHistory(const std::string& path, int saved_blobs, int blobs);
template <typename Dtype>
void CheckHistory(const std::string& path, const SolverState& state, const std::vector<shared_ptr<Blob<Dtype>>>& blobs);

/// A training state as a text, for solverstates in HDF5, whose strings hold no bytes of 0.
std::string TrainingStateText(const SolverState& state);
void ReadTrainingState(const std::string& text, SolverState* state);

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_SOLVER_STATE_HPP_
