#ifndef CAFFE_ACU_SNAPSHOT_SNAPSHOT_HPP_
#define CAFFE_ACU_SNAPSHOT_SNAPSHOT_HPP_

#include <glog/logging.h>

#include <string>

#include "caffe_acu/snapshot/finite.hpp"
#include "caffe_acu/snapshot/whole_file.hpp"

namespace caffe {

/// A snapshot on the way: one that cannot be written, on a full disk say, is told, and the training goes on, unless its
/// weights are not finite. The one at the end, after which nothing would be left, throws.
template <typename Body>
void InPassing(int iteration, Body snapshot) {
  try {
    snapshot();
  } catch (const NotFinite&) {
    throw;
  } catch (const std::exception& error) {
    LOG(ERROR) << "no snapshot at iteration " << iteration << ", those before it stay, the training goes on: "
               << error.what();
  }
}

/// The newest `<prefix>_iter_<N>.solverstate` (or .solverstate.h5) that is whole, its caffemodel with it; empty if
/// there is none. What is damaged is passed over, with a warning. Parts of files that a killed process left are removed.
std::string LastGoodSnapshot(const std::string& prefix);

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_SNAPSHOT_HPP_
