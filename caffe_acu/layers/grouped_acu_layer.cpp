#include "caffe_acu/layers/grouped_acu_layer.hpp"

#include "caffe_acu/layers/layer_error.hpp"

namespace caffe {

template <typename Dtype>
void GroupedACULayer<Dtype>::ReadGroups(typename ActiveLayer<Dtype>::Settings* settings) const {
  const ACUParameter& param = this->layer_param_.acu_param();
  settings->groups = static_cast<int>(this->layer_param_.convolution_param().group());
  settings->sets = param.has_position_group() ? param.position_group() : settings->groups;
  LAYER_CHECK(settings->groups > 0) << "convolution_param.group is 0; it must be at least 1";
  LAYER_CHECK(settings->sets > 0) << "acu_param.position_group is " << settings->sets << "; it must be at least 1";
}

INSTANTIATE_CLASS(GroupedACULayer);
REGISTER_LAYER_CLASS(GroupedACU);

}  // namespace caffe
