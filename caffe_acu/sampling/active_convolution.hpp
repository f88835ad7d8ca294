#ifndef CAFFE_ACU_SAMPLING_ACTIVE_CONVOLUTION_HPP_
#define CAFFE_ACU_SAMPLING_ACTIVE_CONVOLUTION_HPP_

#include "caffe_acu/sampling/plan.hpp"

namespace caffe {

/// Sizes of an active convolution. All arrays are dense, in this order of axes:
///   input x (images, channels, height, width)      output y (images, outputs, out_height, out_width)
///   weight  (outputs, channels, synapses)          positions alpha, beta (sets, synapses)
/// Set s serves the output channels s * outputs/sets .. (s+1) * outputs/sets - 1.
struct ActiveConvolutionShape {
  int images, channels, outputs, synapses, sets;
  SamplingGeometry geometry;
};

/// What Backward is to compute; a null pointer means: not wanted, do no work for it.
template <typename Dtype>
struct ActiveConvolutionGradients {
  Dtype* input = nullptr;   // overwritten
  Dtype* weight = nullptr;  // this and the following: added to
  Dtype* bias = nullptr;
  Dtype* alpha = nullptr;
  Dtype* beta = nullptr;

  bool positions() const { return alpha || beta; }
};

/**
 * @brief The ACU's forward pass (equations 4 to 9), by images in parallel: sample all synapses into
 *        columns (channels * synapses, outputs' plane), then one matrix product with the weights.
 *
 * @param bias (outputs), or null
 */
template <typename Dtype>
void ActiveConvolutionForward(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                              const Dtype* bias, const Dtype* alpha, const Dtype* beta, Dtype* output);

/**
 * @brief The ACU's backward pass (equations 10 to 14).
 *
 * The product W^T dY is computed once; its rows give the input gradient (scattered to the four
 * neighbours) and the position gradients (multiplied with differences of neighbours). Each row is then
 * overwritten with the samples, which the weight gradient needs, so one column buffer a thread serves.
 *
 * On lattice points, where the derivative jumps, the position gradient is that of equations 12 and 13
 * as printed: with the floor, so towards the right and downwards.
 *
 * Images are summed in chunks whose number depends on the shapes alone, and the chunks in order, so that
 * the gradients have the same bits whatever the number of threads.
 */
template <typename Dtype>
void ActiveConvolutionBackward(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                               const Dtype* alpha, const Dtype* beta, const Dtype* output_gradient,
                               const ActiveConvolutionGradients<Dtype>& gradients);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_ACTIVE_CONVOLUTION_HPP_
