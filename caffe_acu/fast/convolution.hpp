#ifndef CAFFE_ACU_FAST_CONVOLUTION_HPP_
#define CAFFE_ACU_FAST_CONVOLUTION_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {

/**
 * @brief The passes of Caffe's Convolution, as an active convolution whose synapses rest on the lattice: on
 *        the CPU threads over tiles of the batch, on the GPU one product for many images, and direct kernels
 *        where each group has one channel. They run where Caffe's mode says.
 *
 * Takes two spatial axes with any kernel, stride, pad, dilation and groups. Returns false, having done
 * nothing, for what is left to upstream's code: other numbers of axes, and layers that ask for upstream's
 * code by `convolution_param { engine: CAFFE }`. (force_nd_im2col chooses between two ways of making
 * columns, of which there are none here.)
 */
template <typename Dtype>
bool ConvolutionForward(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
                        const std::vector<Blob<Dtype>*>& bottom, const std::vector<Blob<Dtype>*>& top);

template <typename Dtype>
bool ConvolutionBackward(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
                         const std::vector<bool>& param_propagate_down, const std::vector<Blob<Dtype>*>& top,
                         const std::vector<bool>& propagate_down, const std::vector<Blob<Dtype>*>& bottom);

/// Whether a layer of two spatial axes has one channel in each group, and few outputs: done by direct kernels,
/// on the GPU too, where cuDNN's take a detour over its general ones.
bool IsDepthwise(const LayerParameter& layer, int channels);

}  // namespace caffe

#endif  // CAFFE_ACU_FAST_CONVOLUTION_HPP_
