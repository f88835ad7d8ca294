#ifndef CAFFE_ACU_LAYERS_LAYER_ERROR_HPP_
#define CAFFE_ACU_LAYERS_LAYER_ERROR_HPP_

#include <glog/logging.h>

#include <string>

#include "caffe/proto/caffe.pb.h"
#include "caffe_acu/util/prototxt.hpp"

namespace caffe {

/// "net.prototxt: ACU layer 'conv1': ", for the beginning of a message. The file is the prototxt that
/// was read last, which a layer that is being set up comes from.
inline std::string LayerLabel(const LayerParameter& param) {
  const std::string& file = LastPrototxt();
  return (file.empty() ? "" : file + ": ") + param.type() + " layer '" + param.name() + "': ";
}

}  // namespace caffe

/// In a layer: ends the program with a sentence that begins with the layer's label.
#define LAYER_CHECK(condition) \
  LOG_IF(FATAL, !(condition)) << ::caffe::LayerLabel(this->layer_param_)

#endif  // CAFFE_ACU_LAYERS_LAYER_ERROR_HPP_
