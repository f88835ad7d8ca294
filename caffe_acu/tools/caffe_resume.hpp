#ifndef CAFFE_ACU_TOOLS_CAFFE_RESUME_HPP_
#define CAFFE_ACU_TOOLS_CAFFE_RESUME_HPP_

#include <string>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// What --resume asks for: with "auto" the last good snapshot of the solver becomes the one to go on from, if there is
/// one; it goes before weights to begin with.
void ChooseSnapshot(const SolverParameter& solver, std::string* snapshot);

}  // namespace caffe

#endif  // CAFFE_ACU_TOOLS_CAFFE_RESUME_HPP_
