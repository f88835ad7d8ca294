#ifndef CAFFE_ACU_SNAPSHOT_FINITE_HPP_
#define CAFFE_ACU_SNAPSHOT_FINITE_HPP_

#include "caffe/net.hpp"
#include "caffe_acu/util/error.hpp"

namespace caffe {

/// Throws NotFinite if the loss of an iteration, or the length of its gradient, is NaN or infinite, before an update is
/// made of it. `what` names the value. Says which layer is the first with weights, outputs or gradients that are not
/// finite; only then are these looked at.
template <typename Dtype>
void RequireFinite(const Net<Dtype>& net, Dtype value, const char* what, int iteration);

/// Throws NotFinite if a weight is NaN or infinite, as before a snapshot is made of them.
template <typename Dtype>
void RequireFiniteWeights(const Net<Dtype>& net, int iteration);

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_FINITE_HPP_
