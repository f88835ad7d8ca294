#ifndef CAFFE_ACU_GPU_ACTIVE_CONVOLUTION_HPP_
#define CAFFE_ACU_GPU_ACTIVE_CONVOLUTION_HPP_

#include "caffe_acu/gpu/positions.hpp"
#include "caffe_acu/sampling/active_convolution.hpp"

namespace caffe {

/**
 * @brief The active convolution on the GPU; pointers are to its memory, everything else is as in
 *        ActiveConvolutionForward and ActiveConvolutionBackward.
 *
 * Runs on the default stream and never waits for the host or makes it wait: positions are read where they
 * are. No sum is made by atomic additions, so equal inputs give equal bits.
 */
template <typename Dtype>
void ActiveConvolutionForwardGpu(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                                 const Dtype* bias, const DevicePositions<Dtype>& positions, Dtype* output);

template <typename Dtype>
void ActiveConvolutionBackwardGpu(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                                  const DevicePositions<Dtype>& positions, const Dtype* output_gradient,
                                  const ActiveConvolutionGradients<Dtype>& gradients);

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_ACTIVE_CONVOLUTION_HPP_
