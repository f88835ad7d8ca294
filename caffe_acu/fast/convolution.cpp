#include "caffe_acu/fast/convolution.hpp"

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

// The layer as an active convolution: its shape, and lattice positions in the layer's type.
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
  }
  ActiveConvolutionShape shape;
  std::vector<Dtype> x, y;
};

template <typename Dtype>
ActiveConvolutionParameters<Dtype> Parameters(const LayerParameter& layer, const Lattice<Dtype>& lattice,
                                              const std::vector<shared_ptr<Blob<Dtype>>>& blobs) {
  return {blobs[0]->cpu_data(), layer.convolution_param().bias_term() ? blobs[1]->cpu_data() : nullptr,
          lattice.x.data(), lattice.y.data()};
}

}  // namespace

template <typename Dtype>
bool ConvolutionForward(const LayerParameter& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
                        const std::vector<Blob<Dtype>*>& bottom, const std::vector<Blob<Dtype>*>& top) {
  if (!IsOurs(layer, bottom[0]->shape())) return false;
  for (size_t i = 0; i < bottom.size(); ++i) {
    if (bottom[i]->count() == 0) continue;
    const Lattice<Dtype> lattice(layer, *bottom[i], *top[i]);
    ActiveConvolutionForward(lattice.shape, bottom[i]->cpu_data(), Parameters(layer, lattice, blobs),
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
    ActiveConvolutionGradients<Dtype> gradients;
    gradients.input = propagate_down[i] ? bottom[i]->mutable_cpu_diff() : nullptr;
    gradients.weight = param_propagate_down[0] ? blobs[0]->mutable_cpu_diff() : nullptr;
    gradients.bias = bias && param_propagate_down[1] ? blobs[1]->mutable_cpu_diff() : nullptr;
    ActiveConvolutionBackward(lattice.shape, bottom[i]->cpu_data(), Parameters(layer, lattice, blobs),
                              top[i]->cpu_diff(), gradients);
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
