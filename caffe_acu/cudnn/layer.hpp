#ifndef CAFFE_ACU_CUDNN_LAYER_HPP_
#define CAFFE_ACU_CUDNN_LAYER_HPP_

#ifdef USE_CUDNN
#include <array>
#include <memory>

#include "caffe/blob.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe_acu/cudnn/convolution.hpp"

namespace caffe {

/// What Caffe's layers of Convolution and Deconvolution have in common where cuDNN computes them. Base is Caffe's own
/// layer. Until a pass on the GPU is called, nothing of cuDNN or CUDA is.
template <typename Dtype, template <typename> class Base>
class CudnnLayer : public Base<Dtype> {
 public:
  explicit CudnnLayer(const LayerParameter& param) : Base<Dtype>(param) {}

 protected:
  /// This layer as a convolution of `input` to `output`, whose shapes all inputs and outputs share; valid until the
  /// next call. Null where cuDNN does not do it, and Base has to.
  const CudnnConvolution<Dtype>* Convolution(const Blob<Dtype>& input, const Blob<Dtype>& output) {
    if (this->num_spatial_axes_ != 2) return nullptr;
    const auto plane = [this](const Blob<Dtype>& blob) -> std::array<int, 3> {
      const int axis = this->channel_axis_;
      return {blob.shape(axis), blob.shape(axis + 1), blob.shape(axis + 2)};
    };
    const auto pair = [](const Blob<int>& blob) -> std::array<int, 2> {
      return {blob.cpu_data()[0], blob.cpu_data()[1]};
    };
    CudnnConvolutionShape shape;
    shape.images = this->num_;
    shape.input = plane(input);
    shape.output = plane(output);
    shape.kernel = pair(this->kernel_shape_);
    shape.stride = pair(this->stride_);
    shape.pad = pair(this->pad_);
    shape.dilation = pair(this->dilation_);
    shape.groups = this->group_;
    if (!shape.IsProper()) return nullptr;
    if (!convolution_ || !(convolution_->shape() == shape)) convolution_.reset(new CudnnConvolution<Dtype>(shape));
    return convolution_.get();
  }

 private:
  std::unique_ptr<CudnnConvolution<Dtype>> convolution_;
};

}  // namespace caffe
#endif

#endif  // CAFFE_ACU_CUDNN_LAYER_HPP_
