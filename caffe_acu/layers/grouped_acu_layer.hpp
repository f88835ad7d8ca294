#ifndef CAFFE_ACU_LAYERS_GROUPED_ACU_LAYER_HPP_
#define CAFFE_ACU_LAYERS_GROUPED_ACU_LAYER_HPP_

#include "caffe_acu/layers/acu_layer.hpp"

namespace caffe {

/**
 * @brief Grouped active convolution unit (Jeon and Kim, Integrating Multiple Receptive Fields through
 *        Grouped Active Convolution, equations 6 and 7): groups of a convolution with positions of their own.
 *
 * convolution_param.group = G convolution groups and acu_param.position_group = S position sets are
 * independent; channel c of C is sampled at the positions of set floor(c S / C). Among others:
 *   S = G            grouped ACU (the default)
 *   S = G = C        depthwise ACU
 *   S = 1, G = C     "Share" of Table 5
 *   S = 1, G = 1     the ACU
 * Everything else is as in ACULayer, for every set: fixed synapse, normalized gradient, warm-up.
 */
template <typename Dtype>
class GroupedACULayer : public ACULayer<Dtype> {
 public:
  explicit GroupedACULayer(const LayerParameter& param) : ACULayer<Dtype>(param) {}
  inline const char* type() const override { return "GroupedACU"; }

 protected:
  void ReadGroups(typename ActiveLayer<Dtype>::Settings* settings) const override;
};

}  // namespace caffe

#endif  // CAFFE_ACU_LAYERS_GROUPED_ACU_LAYER_HPP_
