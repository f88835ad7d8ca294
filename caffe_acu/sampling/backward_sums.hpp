#ifndef CAFFE_ACU_SAMPLING_BACKWARD_SUMS_HPP_
#define CAFFE_ACU_SAMPLING_BACKWARD_SUMS_HPP_

#include <algorithm>
#include <vector>

#include "caffe_acu/sampling/active_convolution.hpp"

namespace caffe {

/// How the images of a backward pass are cut into chunks, each of which sums its gradients on its own. Their
/// number depends on the shapes alone: about 32 tasks together with the blocks of channels, and never more
/// than 16 chunks, since each costs a copy of the weight gradient.
struct Chunks {
  Chunks(int images, int blocks) : images(images), count(std::min({images, 16, (32 + blocks - 1) / blocks})) {}
  int begin(int chunk) const { return static_cast<int>(static_cast<long>(images) * chunk / count); }
  int end(int chunk) const { return begin(chunk + 1); }

  int images, count;
};

/// Adds sums (sets, synapses, {alpha, beta}) to the gradients of the positions that are wanted.
template <typename Dtype>
void AddPositionSums(const std::vector<double>& sums, const ActiveConvolutionGradients<Dtype>& gradients) {
  for (size_t i = 0; i < sums.size() / 2; ++i) {
    if (gradients.alpha) gradients.alpha[i] += static_cast<Dtype>(sums[2 * i]);
    if (gradients.beta) gradients.beta[i] += static_cast<Dtype>(sums[2 * i + 1]);
  }
}

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_BACKWARD_SUMS_HPP_
