#ifndef CAFFE_ACU_LAYERS_SPATIAL_SETTINGS_HPP_
#define CAFFE_ACU_LAYERS_SPATIAL_SETTINGS_HPP_

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// The spatial part of convolution_param for two axes, {height, width}, checked.
struct SpatialSettings {
  int kernel[2];  // 0 where it is not given
  int stride[2], pad[2], dilation[2];
};

/// Reads kernel_size, stride, pad and dilation in all of Caffe's spellings (one value, two, or _h and _w).
SpatialSettings ReadSpatialSettings(const LayerParameter& layer);

}  // namespace caffe

#endif  // CAFFE_ACU_LAYERS_SPATIAL_SETTINGS_HPP_
