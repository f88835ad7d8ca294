#ifndef CAFFE_ACU_SAMPLING_ACTIVE_CONVOLUTION_HPP_
#define CAFFE_ACU_SAMPLING_ACTIVE_CONVOLUTION_HPP_

#include <cstddef>

#include "caffe_acu/sampling/plan.hpp"

namespace caffe {

/**
 * @brief Sizes of an active convolution, grouped or not (equations 4 to 7 of both papers). All arrays are
 *        dense, in this order of axes:
 *   input x (images, channels, height, width)      output y (images, outputs, out_height, out_width)
 *   weight  (outputs, channels / groups, synapses)
 *   positions alpha, beta (sets, synapses)
 *
 * Convolution groups and position sets are independent: outputs d see the channels of their group, and
 * channel c is sampled at the positions of set floor(c * sets / channels), once, whatever the groups are.
 * On the lattice, with learning off, this is an ordinary convolution, and used for that too.
 */
struct ActiveConvolutionShape {
  int images, channels, outputs, groups, synapses, sets;
  SamplingGeometry geometry;
  /// Outputs of an image in memory, at least `outputs`: more if this is a slice of a larger layer.
  int outputs_in_memory;

  int set_of(int channel) const { return static_cast<int>(static_cast<long>(channel) * sets / channels); }
  int channels_per_group() const { return channels / groups; }
  int outputs_per_group() const { return outputs / groups; }
  size_t input_step() const { return static_cast<size_t>(channels) * geometry.in_size(); }
  size_t output_step() const { return static_cast<size_t>(outputs_in_memory) * geometry.out_size(); }
  int weight_size() const { return outputs * channels_per_group() * synapses; }
  /// Each group has a single channel and few outputs: better done without matrix products.
  bool depthwise() const { return groups == channels && channels > 1 && outputs_per_group() <= 4; }
};

/// The parameters of an active convolution; `bias` may be null.
template <typename Dtype>
struct ActiveConvolutionParameters {
  const Dtype* weight;
  const Dtype* bias;
  const Dtype* alpha;
  const Dtype* beta;
};

/// What Backward is to compute; a null pointer means: not wanted, do no work for it.
template <typename Dtype>
struct ActiveConvolutionGradients {
  Dtype* input = nullptr;  // overwritten, or added to if add_to_input
  bool add_to_input = false;
  Dtype* weight = nullptr;  // this and the following: added to
  Dtype* bias = nullptr;
  Dtype* alpha = nullptr;
  Dtype* beta = nullptr;

  bool positions() const { return alpha || beta; }
};

/**
 * @brief Forward pass (equations 4 to 9), over tiles of outputs in parallel: sample the synapses of some
 *        channels, multiply them with their weights, go on to the next channels.
 */
template <typename Dtype>
void ActiveConvolutionForward(const ActiveConvolutionShape& shape, const Dtype* input,
                              const ActiveConvolutionParameters<Dtype>& parameters, Dtype* output);

/**
 * @brief Backward pass (equations 10 to 14).
 *
 * The product W^T dY is computed once; its rows give the input gradient (scattered to the four
 * neighbours) and the position gradients (multiplied with differences of neighbours). Each row is then
 * overwritten with the samples, which the weight gradient needs.
 *
 * On lattice points, where the derivative jumps, the position gradient is that of equations 12 and 13
 * as printed: with the floor, so towards the right and downwards.
 *
 * The work is cut into chunks of images and blocks of channels whose number depends on the shapes alone,
 * and what they contribute is added in their order, so that the gradients have the same bits whatever the
 * number of threads.
 */
template <typename Dtype>
void ActiveConvolutionBackward(const ActiveConvolutionShape& shape, const Dtype* input,
                               const ActiveConvolutionParameters<Dtype>& parameters, const Dtype* output_gradient,
                               const ActiveConvolutionGradients<Dtype>& gradients);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_ACTIVE_CONVOLUTION_HPP_
