#ifndef CAFFE_ACU_GPU_SUMS_HPP_
#define CAFFE_ACU_GPU_SUMS_HPP_

#include "caffe_acu/sampling/active_convolution.hpp"

namespace caffe {

/// Adds, for each synapse of each set, what its channels contributed to the positions' gradients:
/// contributions (rows, synapses, parts, {alpha, beta}), where an equal number of rows belongs to each set.
/// alpha and beta (sets, synapses); either may be null.
template <typename Dtype>
void AddPositionSums(int rows, int synapses, int parts, int sets, const Dtype* contributions, Dtype* alpha,
                     Dtype* beta);

/// Adds the sum of the output's gradient over images and pixels to each output's bias (outputs).
template <typename Dtype>
void AddBiasGradient(const ActiveConvolutionShape& shape, const Dtype* output_gradient, Dtype* bias);

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_SUMS_HPP_
