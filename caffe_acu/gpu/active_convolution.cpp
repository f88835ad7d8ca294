#ifndef CPU_ONLY
#include "caffe_acu/gpu/active_convolution.hpp"

#include "caffe/common.hpp"
#include "caffe_acu/gpu/column_convolution.hpp"
#include "caffe_acu/gpu/depthwise_kernels.hpp"
#include "caffe_acu/gpu/sums.hpp"
#include "caffe_acu/gpu/workspace.hpp"

namespace caffe {
namespace {

// Depthwise kernels write an image's outputs one after the other, so a slice of a larger layer is not theirs.
bool IsDepthwise(const ActiveConvolutionShape& shape) {
  return shape.depthwise() && shape.outputs == shape.outputs_in_memory;
}

template <typename Dtype>
void DepthwiseBackward(const DepthwiseShape& shape, const Dtype* input, const Dtype* weight,
                       const DevicePositions<Dtype>& positions, const Dtype* output_gradient,
                       const ActiveConvolutionGradients<Dtype>& gradients) {
  if (gradients.input) {
    DepthwiseInputGradient(shape, output_gradient, weight, positions, gradients.add_to_input, gradients.input);
  }
  if (!gradients.weight && !gradients.positions()) return;
  const size_t synapses = static_cast<size_t>(shape.outputs()) * shape.synapses;
  const size_t correlations = 4 * synapses * CorrelationParts(shape);
  Dtype* work = static_cast<Dtype*>(GpuWorkspace((correlations + 2 * synapses) * sizeof(Dtype)));
  Dtype* contributions = gradients.positions() ? work + correlations : nullptr;
  DepthwiseCorrelations(shape, input, output_gradient, positions, work);
  DepthwiseGradients<Dtype>(shape, work, weight, positions, gradients.weight, contributions);
  if (contributions) {
    AddPositionSums(shape.outputs(), shape.synapses, 1, shape.sets, contributions, gradients.alpha, gradients.beta);
  }
}

}  // namespace

template <typename Dtype>
void ActiveConvolutionForwardGpu(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                                 const Dtype* bias, const DevicePositions<Dtype>& positions, Dtype* output) {
  if (IsDepthwise(shape)) {
    DepthwiseForward(DepthwiseShape(shape), input, weight, bias, positions, output);
  } else {
    ColumnConvolution<Dtype>(shape, weight, positions).Forward(input, bias, output);
  }
}

template <typename Dtype>
void ActiveConvolutionBackwardGpu(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                                  const DevicePositions<Dtype>& positions, const Dtype* output_gradient,
                                  const ActiveConvolutionGradients<Dtype>& gradients) {
  if (gradients.bias) AddBiasGradient(shape, output_gradient, gradients.bias);
  if (IsDepthwise(shape)) {
    DepthwiseBackward(DepthwiseShape(shape), input, weight, positions, output_gradient, gradients);
  } else {
    ColumnConvolution<Dtype>(shape, weight, positions).Backward(input, output_gradient, gradients);
  }
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                                  \
  template void ActiveConvolutionForwardGpu(const ActiveConvolutionShape&, const Dtype*, const Dtype*, const Dtype*,  \
                                            const DevicePositions<Dtype>&, Dtype*);                                   \
  template void ActiveConvolutionBackwardGpu(const ActiveConvolutionShape&, const Dtype*, const Dtype*,               \
                                             const DevicePositions<Dtype>&, const Dtype*,                             \
                                             const ActiveConvolutionGradients<Dtype>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
#endif
