#ifndef CAFFE_ACU_LAYERS_ACONV_FAST_LAYER_HPP_
#define CAFFE_ACU_LAYERS_ACONV_FAST_LAYER_HPP_

#include "caffe_acu/layers/active_layer.hpp"

namespace caffe {

/**
 * @brief The ACU in the dialect of its authors' own Caffe fork, so that their prototxt and weights load
 *        unchanged: type AConvFast, described by convolution_param and aconv_param.
 *
 * Synapse 0 is the origin and fixed, the others start on a ring. For type SQUARE, kernel and padding read
 * as in a convolution; for CIRCLE and RANDOM the output size is that of a 1x1 convolution with
 * aconv_param.pad. position_group = P gives each of P slices of the OUTPUT channels a position set.
 *
 * Forward values are the authors'. The backward pass is ours: it accumulates, it is equations 12 and 13
 * on lattice points too, and normalisation waits for the solver's step.
 */
template <typename Dtype>
class AConvFastLayer : public ActiveLayer<Dtype> {
 public:
  explicit AConvFastLayer(const LayerParameter& param) : ActiveLayer<Dtype>(param) {}
  inline const char* type() const override { return "AConvFast"; }

 protected:
  typename ActiveLayer<Dtype>::Settings ReadSettings() const override;
};

}  // namespace caffe

#endif  // CAFFE_ACU_LAYERS_ACONV_FAST_LAYER_HPP_
