#include "caffe_acu/fast/convolution.hpp"

#include "caffe_acu/gpu/active_convolution.hpp"
#include "caffe_acu/layers/spatial_settings.hpp"
#include "caffe_acu/sampling/active_convolution.hpp"
#include "caffe_acu/shapes/start_positions.hpp"

namespace caffe {
namespace {

bool IsOurs(const LayerParameter& layer, const std::vector<int>& shape) {
  const ConvolutionParameter& param = layer.convolution_param();
  return param.engine() != ConvolutionParameter_Engine_CAFFE && shape.size() == 4 &&
         (param.axis() == 1 || param.axis() == -3);
}

// The layer as an active convolution: its shape, and lattice positions, on the CPU in the layer's type.
template <typename Dtype>
struct Lattice {
  Lattice(const LayerParameter& layer, const Blob<Dtype>& bottom, const Blob<Dtype>& top) {
    const SpatialSettings s = ReadSpatialSettings(layer);
    for (const Position& p : LatticePositions(s.kernel[0], s.kernel[1], s.dilation[0], s.dilation[1])) {
      x.push_back(static_cast<Dtype>(p.x));
      y.push_back(static_cast<Dtype>(p.y));
    }
    shape.images = bottom.shape(0);
    shape.channels = bottom.shape(1);
    shape.outputs = shape.outputs_in_memory = top.shape(1);
    shape.groups = static_cast<int>(layer.convolution_param().group());
    shape.synapses = s.kernel[0] * s.kernel[1];
    shape.sets = 1;
    shape.geometry = {bottom.shape(2), bottom.shape(3), top.shape(2), top.shape(3), s.stride[0], s.stride[1],
                      s.dilation[0] * (s.kernel[0] / 2) - s.pad[0], s.dilation[1] * (s.kernel[1] / 2) - s.pad[1]};
    on_device = DevicePositions<Dtype>::Lattice(s.kernel[0], s.kernel[1], s.dilation[0], s.dilation[1]);
  }
  ActiveConvolutionShape shape;
  std::vector<Dtype> x, y;
  DevicePositions<Dtype> on_device;
};

}  // namespace

bool IsDepthwise(const LayerParameter& layer, int channels) {
  const ConvolutionParameter& param = layer.convolution_param();
  ActiveConvolutionShape shape;
  shape.channels = channels;
  shape.outputs = static_cast<int>(param.num_output());
  shape.groups = static_cast<int>(param.group());
  return shape.depthwise();
}

template <typename Dtype>
bool ConvolutionForward(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
                        const std::vector<Blob<Dtype>*>& bottom, const std::vector<Blob<Dtype>*>& top) {
  if (!IsOurs(layer, bottom[0]->shape())) return false;
  const bool bias = layer.convolution_param().bias_term();
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (bottom[i]->count() == 0) continue;
    const Lattice<Dtype> lattice(layer, *bottom[i], *top[i]);
#ifndef CPU_ONLY
    if (Caffe::mode() == Caffe::GPU) {
      ActiveConvolutionForwardGpu(lattice.shape, bottom[i]->gpu_data(), blobs[0]->gpu_data(),
                                  bias ? blobs[1]->gpu_data() : nullptr, lattice.on_device, top[i]->mutable_gpu_data());
      continue;
    }
#endif
    ActiveConvolutionForward(lattice.shape, bottom[i]->cpu_data(),
                             {blobs[0]->cpu_data(), bias ? blobs[1]->cpu_data() : nullptr, lattice.x.data(),
                              lattice.y.data()},
                             top[i]->mutable_cpu_data());
  }
  return true;
}

template <typename Dtype>
bool ConvolutionBackward(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
                         const std::vector<bool>& param_propagate_down, const std::vector<Blob<Dtype>*>& top,
                         const std::vector<bool>& propagate_down, const std::vector<Blob<Dtype>*>& bottom) {
  if (!IsOurs(layer, bottom[0]->shape())) return false;
  const bool bias = layer.convolution_param().bias_term();
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (bottom[i]->count() == 0) continue;
    const Lattice<Dtype> lattice(layer, *bottom[i], *top[i]);
    const auto gradients = [&](Dtype* (Blob<Dtype>::*diff)()) {
      ActiveConvolutionGradients<Dtype> result;
      result.input = propagate_down[i] ? (bottom[i]->*diff)() : nullptr;
      result.weight = param_propagate_down[0] ? (*blobs[0].*diff)() : nullptr;
      result.bias = bias && param_propagate_down[1] ? (*blobs[1].*diff)() : nullptr;
      return result;
    };
#ifndef CPU_ONLY
    if (Caffe::mode() == Caffe::GPU) {
      ActiveConvolutionBackwardGpu(lattice.shape, bottom[i]->gpu_data(), blobs[0]->gpu_data(), lattice.on_device,
                                   top[i]->gpu_diff(), gradients(&Blob<Dtype>::mutable_gpu_diff));
      continue;
    }
#endif
    ActiveConvolutionBackward(lattice.shape, bottom[i]->cpu_data(),
                              {blobs[0]->cpu_data(), nullptr, lattice.x.data(), lattice.y.data()}, top[i]->cpu_diff(),
                              gradients(&Blob<Dtype>::mutable_cpu_diff));
  }
  return true;
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                              \
  template bool ConvolutionForward(const LayerParameter&, const std::vector<shared_ptr<Blob<Dtype>>>&,            \
                                   const std::vector<Blob<Dtype>*>&, const std::vector<Blob<Dtype>*>&);           \
  template bool ConvolutionBackward(const LayerParameter&, const std::vector<shared_ptr<Blob<Dtype>>>&,           \
                                    const std::vector<bool>&, const std::vector<Blob<Dtype>*>&,                   \
                                    const std::vector<bool>&, const std::vector<Blob<Dtype>*>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
