#ifndef CAFFE_ACU_LAYERS_ACU_LAYER_HPP_
#define CAFFE_ACU_LAYERS_ACU_LAYER_HPP_

#include "caffe_acu/layers/active_layer.hpp"

namespace caffe {

/**
 * @brief Active convolution unit: a convolution whose K synapses sit at learned real-valued positions
 *        (Jeon and Kim, CVPR 2017, equations 3 to 16).
 *
 *   y(m, n) = sum over c, k of w(c, k) x(c, m + alpha_k, n + beta_k) + b
 *
 * with x interpolated bilinearly between pixels and 0 outside the image. Described by convolution_param,
 * as a Convolution is, and acu_param (see acu.proto). The synapses start on the lattice of the kernel,
 * where output size and origin are those of the convolution, or at the positions listed, where they are
 * those of a 1x1 convolution.
 */
template <typename Dtype>
class ACULayer : public ActiveLayer<Dtype> {
 public:
  explicit ACULayer(const LayerParameter& param) : ActiveLayer<Dtype>(param) {}
  inline const char* type() const override { return "ACU"; }

 protected:
  typename ActiveLayer<Dtype>::Settings ReadSettings() const override;
  /// Fills in the convolution groups and the position sets; an ACU has one of each.
  virtual void ReadGroups(typename ActiveLayer<Dtype>::Settings* settings) const;
};

}  // namespace caffe

#endif  // CAFFE_ACU_LAYERS_ACU_LAYER_HPP_
