#include "caffe_acu/layers/acu_layer.hpp"

#include <cmath>

#include "caffe_acu/layers/layer_error.hpp"
#include "caffe_acu/layers/spatial_settings.hpp"

namespace caffe {

template <typename Dtype>
typename ActiveLayer<Dtype>::Settings ACULayer<Dtype>::ReadSettings() const {
  const LayerParameter& layer = this->layer_param_;
  const ACUParameter& param = layer.acu_param();
  const SpatialSettings spatial = ReadSpatialSettings(layer);
  LAYER_CHECK(std::isfinite(param.dilation()) && param.dilation() > 0)
      << "acu_param.dilation is " << param.dilation() << "; it must be positive";
  LAYER_CHECK(std::isfinite(param.position_noise()) && param.position_noise() >= 0)
      << "acu_param.position_noise is " << param.position_noise() << "; a standard deviation is 0 or more";
  LAYER_CHECK(param.warmup_iter() >= 0)
      << "acu_param.warmup_iter is " << param.warmup_iter() << "; it must be 0 or more";

  typename ActiveLayer<Dtype>::Settings s;
  ReadGroups(&s);
  s.sets_slice_outputs = false;
  s.noise = param.position_noise();
  const bool listed = param.position_size() > 0;
  if (listed) {
    LAYER_CHECK(spatial.kernel[0] <= 1 && spatial.kernel[1] <= 1)
        << "both acu_param.position and convolution_param.kernel_size are given; the positions make the "
           "kernel, so leave kernel_size out";
    s.kernel[0] = 1;
    s.kernel[1] = param.position_size();
    for (const ACUPosition& position : param.position()) s.start.push_back({position.x(), position.y()});
  } else {
    LAYER_CHECK(spatial.kernel[0] > 0)
        << "it has no synapses; give convolution_param.kernel_size or list acu_param.position";
    s.kernel[0] = spatial.kernel[0];
    s.kernel[1] = spatial.kernel[1];
    s.start = LatticePositions(s.kernel[0], s.kernel[1], spatial.dilation[0], spatial.dilation[1]);
  }
  for (Position& p : s.start) {
    LAYER_CHECK(std::isfinite(p.x) && std::isfinite(p.y)) << "a start position is not a finite number";
    p = {p.x * param.dilation(), p.y * param.dilation()};
  }
  for (int axis = 0; axis < 2; ++axis) {
    s.stride[axis] = spatial.stride[axis];
    s.pad[axis] = spatial.pad[axis];
    s.extent[axis] = listed ? 1 : spatial.dilation[axis] * (spatial.kernel[axis] - 1) + 1;
    s.centre[axis] = listed ? 0 : spatial.dilation[axis] * (spatial.kernel[axis] / 2);
  }

  const int synapses = s.synapses();
  if (param.has_num_synapses()) {
    LAYER_CHECK(param.num_synapses() > 0)
        << "acu_param.num_synapses is " << param.num_synapses() << "; K must be positive";
    LAYER_CHECK(param.num_synapses() == synapses)
        << "acu_param.num_synapses is " << param.num_synapses() << ", but "
        << (listed ? "acu_param.position lists " : "the kernel has ") << synapses;
  }
  s.rule.fixed_synapse = param.has_fixed_synapse() ? param.fixed_synapse() : PositionRule::kAtOrigin;
  LAYER_CHECK(!param.has_fixed_synapse() || (param.fixed_synapse() >= -1 && param.fixed_synapse() < synapses))
      << "acu_param.fixed_synapse is " << param.fixed_synapse() << "; the synapses are 0 to "
      << synapses - 1 << ", and -1 fixes none";
  s.rule.learn = param.learn_positions();
  s.rule.normalize = param.normalize_gradient();
  s.rule.warmup_iter = param.warmup_iter();
  return s;
}

template <typename Dtype>
void ACULayer<Dtype>::ReadGroups(typename ActiveLayer<Dtype>::Settings* settings) const {
  const unsigned group = this->layer_param_.convolution_param().group();
  const int sets = this->layer_param_.acu_param().position_group();
  LAYER_CHECK(group == 1) << "convolution_param.group is " << group
                          << "; an ACU has one group, use type GroupedACU for more";
  LAYER_CHECK(!this->layer_param_.acu_param().has_position_group() || sets == 1)
      << "acu_param.position_group is " << sets << "; an ACU has one position set, use type GroupedACU for more";
  settings->groups = settings->sets = 1;
}

INSTANTIATE_CLASS(ACULayer);
REGISTER_LAYER_CLASS(ACU);

}  // namespace caffe
