#ifdef USE_CUDNN
#include "caffe/layers/cudnn_conv_layer.hpp"
#include "caffe/layers/cudnn_deconv_layer.hpp"
#include "caffe_acu/fast/convolution.hpp"

namespace caffe {

// Where cuDNN does not do it, and where our depthwise kernels are faster, Caffe's layer takes over; it calls ours.
template <typename Dtype>
void CuDNNConvolutionLayer<Dtype>::Forward_gpu(const std::vector<Blob<Dtype>*>& bottom,
                                               const std::vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  const bool depthwise = IsDepthwise(this->layer_param_, this->channels_);
  const CudnnConvolution<Dtype>* convolution = depthwise ? nullptr : this->Convolution(*bottom[0], *top[0]);
  if (!convolution) return ConvolutionLayer<Dtype>::Forward_gpu(bottom, top);
  const Dtype* weight = this->blobs_[0]->gpu_data();
  for (size_t i = 0; i < bottom.size(); ++i) {
    Dtype* top_data = top[i]->mutable_gpu_data();
    convolution->Forward(bottom[i]->gpu_data(), weight, top_data);
    if (this->bias_term_) convolution->output().AddBias(this->blobs_[1]->gpu_data(), top_data);
  }
}

template <typename Dtype>
void CuDNNConvolutionLayer<Dtype>::Backward_gpu(const std::vector<Blob<Dtype>*>& top,
                                                const std::vector<bool>& propagate_down,
                                                const std::vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  const bool depthwise = IsDepthwise(this->layer_param_, this->channels_);
  const CudnnConvolution<Dtype>* convolution = depthwise ? nullptr : this->Convolution(*bottom[0], *top[0]);
  if (!convolution) return ConvolutionLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  for (size_t i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->gpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      convolution->output().AddBiasGradient(top_diff, this->blobs_[1]->mutable_gpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      convolution->BackwardFilter(bottom[i]->gpu_data(), top_diff, this->blobs_[0]->mutable_gpu_diff());
    }
    if (propagate_down[i]) {
      convolution->BackwardData(this->blobs_[0]->gpu_data(), top_diff, bottom[i]->mutable_gpu_diff(), 0);
    }
  }
}

// A deconvolution is the convolution of its tops to its bottoms, each pass the other's.

template <typename Dtype>
void CuDNNDeconvolutionLayer<Dtype>::Forward_gpu(const std::vector<Blob<Dtype>*>& bottom,
                                                 const std::vector<Blob<Dtype>*>& top) {
  if (bottom[0]->count() == 0) return;
  const CudnnConvolution<Dtype>* convolution = this->Convolution(*top[0], *bottom[0]);
  if (!convolution) return DeconvolutionLayer<Dtype>::Forward_gpu(bottom, top);
  const Dtype* weight = this->blobs_[0]->gpu_data();
  for (size_t i = 0; i < bottom.size(); ++i) {
    Dtype* top_data = top[i]->mutable_gpu_data();
    convolution->BackwardData(weight, bottom[i]->gpu_data(), top_data, 0);
    if (this->bias_term_) convolution->input().AddBias(this->blobs_[1]->gpu_data(), top_data);
  }
}

template <typename Dtype>
void CuDNNDeconvolutionLayer<Dtype>::Backward_gpu(const std::vector<Blob<Dtype>*>& top,
                                                  const std::vector<bool>& propagate_down,
                                                  const std::vector<Blob<Dtype>*>& bottom) {
  if (bottom[0]->count() == 0) return;
  const CudnnConvolution<Dtype>* convolution = this->Convolution(*top[0], *bottom[0]);
  if (!convolution) return DeconvolutionLayer<Dtype>::Backward_gpu(top, propagate_down, bottom);
  for (size_t i = 0; i < top.size(); ++i) {
    const Dtype* top_diff = top[i]->gpu_diff();
    if (this->bias_term_ && this->param_propagate_down_[1]) {
      convolution->input().AddBiasGradient(top_diff, this->blobs_[1]->mutable_gpu_diff());
    }
    if (this->param_propagate_down_[0]) {
      convolution->BackwardFilter(top_diff, bottom[i]->gpu_data(), this->blobs_[0]->mutable_gpu_diff());
    }
    if (propagate_down[i]) {
      convolution->Forward(top_diff, this->blobs_[0]->gpu_data(), bottom[i]->mutable_gpu_diff());
    }
  }
}

INSTANTIATE_CLASS(CuDNNConvolutionLayer);
INSTANTIATE_CLASS(CuDNNDeconvolutionLayer);

}  // namespace caffe
#endif
