#ifndef CAFFE_CUDNN_CONV_LAYER_HPP_
#define CAFFE_CUDNN_CONV_LAYER_HPP_

// Stands in for upstream's header of this name, which Caffe's layer factory and tests include: its layer is for
// cuDNN 7 at most. This folder comes before Caffe's own among those for headers.

#include <vector>

#include "caffe/layers/conv_layer.hpp"
#ifdef USE_CUDNN
#include "caffe_acu/cudnn/layer.hpp"

namespace caffe {

/// Caffe's ConvolutionLayer with cuDNN on the GPU, where that does it: two spatial axes.
template <typename Dtype>
class CuDNNConvolutionLayer : public CudnnLayer<Dtype, ConvolutionLayer> {
 public:
  explicit CuDNNConvolutionLayer(const LayerParameter& param) : CudnnLayer<Dtype, ConvolutionLayer>(param) {}

 protected:
  void Forward_gpu(const std::vector<Blob<Dtype>*>& bottom, const std::vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const std::vector<Blob<Dtype>*>& top, const std::vector<bool>& propagate_down,
                    const std::vector<Blob<Dtype>*>& bottom) override;
};

}  // namespace caffe
#endif

#endif  // CAFFE_CUDNN_CONV_LAYER_HPP_
