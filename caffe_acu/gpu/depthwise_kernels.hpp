#ifndef CAFFE_ACU_GPU_DEPTHWISE_KERNELS_HPP_
#define CAFFE_ACU_GPU_DEPTHWISE_KERNELS_HPP_

#include "caffe_acu/gpu/positions.hpp"
#include "caffe_acu/sampling/active_convolution.hpp"

namespace caffe {

/// A depthwise active convolution: every channel has `multiplier` outputs of its own.
struct DepthwiseShape {
  int images, channels, multiplier, synapses, sets;
  SamplingGeometry geometry;

  explicit DepthwiseShape(const ActiveConvolutionShape& shape)
      : images(shape.images), channels(shape.channels), multiplier(shape.outputs_per_group()),
        synapses(shape.synapses), sets(shape.sets), geometry(shape.geometry) {}
  int outputs() const { return channels * multiplier; }
};

/**
 * @brief Forward pass. A block takes a channel of some images: it puts tiles of planes into shared memory,
 *        with their zeros around, and runs over them with the one sparse kernel that the synapses make
 *        (Theorem 2): without a branch, and with a value read for up to eight outputs of a thread.
 *
 * Where the synapses are too far apart for a tile, outputs are sampled one by one.
 */
template <typename Dtype>
void DepthwiseForward(const DepthwiseShape& shape, const Dtype* input, const Dtype* weight, const Dtype* bias,
                      const DevicePositions<Dtype>& positions, Dtype* output);

/// Gradient of the input (equation 14): the same, from the outputs' gradients, with the kernel turned around.
template <typename Dtype>
void DepthwiseInputGradient(const DepthwiseShape& shape, const Dtype* output_gradient, const Dtype* weight,
                            const DevicePositions<Dtype>& positions, bool add, Dtype* input_gradient);

/// Parts into which DepthwiseCorrelations cuts the images.
int CorrelationParts(const DepthwiseShape& shape);

/**
 * @brief What the gradients of weights and positions are made of: for each synapse and each of its four
 *        neighbours, the sum over outputs of their gradient times that neighbour's value.
 *
 * correlations (channels * multiplier, synapses, CorrelationParts, 4)
 */
template <typename Dtype>
void DepthwiseCorrelations(const DepthwiseShape& shape, const Dtype* input, const Dtype* output_gradient,
                           const DevicePositions<Dtype>& positions, Dtype* correlations);

/// From the correlations: adds to the weights' gradient, and writes what every output contributes to those
/// of the positions, (channels * multiplier, synapses, {alpha, beta}); either may be null.
template <typename Dtype>
void DepthwiseGradients(const DepthwiseShape& shape, const Dtype* correlations, const Dtype* weight,
                        const DevicePositions<Dtype>& positions, Dtype* weight_gradient, Dtype* contributions);

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_DEPTHWISE_KERNELS_HPP_
