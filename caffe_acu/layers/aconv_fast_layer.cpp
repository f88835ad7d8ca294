#include "caffe_acu/layers/aconv_fast_layer.hpp"

#include "caffe_acu/layers/layer_error.hpp"
#include "caffe_acu/layers/spatial_settings.hpp"

namespace caffe {

template <typename Dtype>
typename ActiveLayer<Dtype>::Settings AConvFastLayer<Dtype>::ReadSettings() const {
  const LayerParameter& layer = this->layer_param_;
  const AConvParameter& param = layer.aconv_param();
  const SpatialSettings spatial = ReadSpatialSettings(layer);
  LAYER_CHECK(layer.convolution_param().group() == 1)
      << "convolution_param.group is " << layer.convolution_param().group()
      << "; the authors' layer has one group";
  LAYER_CHECK(spatial.dilation[0] == 1 && spatial.dilation[1] == 1)
      << "convolution_param.dilation is not 1; the authors' layer has none (base_radius scales the ring)";
  LAYER_CHECK(spatial.kernel[0] > 0) << "convolution_param.kernel_size is missing";
  LAYER_CHECK(param.position_group() > 0) << "aconv_param.position_group is 0; it must be at least 1";

  const bool square = param.type() == AConvParameter::SQUARE;
  const int ring_pad[2] = {static_cast<int>(param.has_pad_h() ? param.pad_h() : param.pad()),
                           static_cast<int>(param.has_pad_w() ? param.pad_w() : param.pad())};
  typename ActiveLayer<Dtype>::Settings s;
  for (int axis = 0; axis < 2; ++axis) {
    s.kernel[axis] = spatial.kernel[axis];
    s.stride[axis] = spatial.stride[axis];
    s.pad[axis] = square ? spatial.pad[axis] : ring_pad[axis];
    s.extent[axis] = square ? spatial.kernel[axis] : 1;
    s.centre[axis] = square ? spatial.kernel[axis] / 2 : 0;
  }
  const bool on_lattice = param.pos_filler_std() < 0;
  s.groups = 1;
  s.sets = param.position_group();
  s.sets_slice_outputs = true;
  s.start = RingPositions(s.synapses(), param.base_radius(), param.base_angle(), on_lattice);
  s.noise = on_lattice ? 0 : param.pos_filler_std() * param.base_radius();
  s.rule.fixed_synapse = 0;
  s.rule.normalize = param.normalize();
  return s;
}

INSTANTIATE_CLASS(AConvFastLayer);
REGISTER_LAYER_CLASS(AConvFast);

}  // namespace caffe
