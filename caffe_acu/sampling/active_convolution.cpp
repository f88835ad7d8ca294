#include "caffe_acu/sampling/active_convolution.hpp"

#include "caffe_acu/sampling/depthwise_convolution.hpp"
#include "caffe_acu/sampling/tiled_convolution.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

template <typename Dtype>
void AddBiasGradient(const ActiveConvolutionShape& shape, const Dtype* output_gradient, Dtype* bias_gradient) {
  ParallelFor(shape.outputs, [&](int d) {
    double sum = 0;
    for (int n = 0; n < shape.images; ++n) {
      const Dtype* plane =
          output_gradient + n * shape.output_step() + static_cast<size_t>(d) * shape.geometry.out_size();
      for (int i = 0; i < shape.geometry.out_size(); ++i) sum += plane[i];
    }
    bias_gradient[d] += static_cast<Dtype>(sum);
  });
}

}  // namespace

template <typename Dtype>
void ActiveConvolutionForward(const ActiveConvolutionShape& shape, const Dtype* input,
                              const ActiveConvolutionParameters<Dtype>& parameters, Dtype* output) {
  if (shape.depthwise()) {
    DepthwiseConvolution<Dtype>(shape, parameters).Forward(input, output);
  } else {
    TiledConvolution<Dtype>(shape, parameters).Forward(input, output);
  }
}

template <typename Dtype>
void ActiveConvolutionBackward(const ActiveConvolutionShape& shape, const Dtype* input,
                               const ActiveConvolutionParameters<Dtype>& parameters, const Dtype* output_gradient,
                               const ActiveConvolutionGradients<Dtype>& gradients) {
  if (shape.depthwise()) {
    DepthwiseConvolution<Dtype>(shape, parameters).Backward(input, output_gradient, gradients);
  } else {
    TiledConvolution<Dtype>(shape, parameters).Backward(input, output_gradient, gradients);
  }
  if (gradients.bias) AddBiasGradient(shape, output_gradient, gradients.bias);
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                                \
  template void ActiveConvolutionForward(const ActiveConvolutionShape&, const Dtype*,                               \
                                         const ActiveConvolutionParameters<Dtype>&, Dtype*);                        \
  template void ActiveConvolutionBackward(const ActiveConvolutionShape&, const Dtype*,                              \
                                          const ActiveConvolutionParameters<Dtype>&, const Dtype*,                  \
                                          const ActiveConvolutionGradients<Dtype>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
