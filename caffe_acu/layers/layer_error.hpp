#ifndef CAFFE_ACU_LAYERS_LAYER_ERROR_HPP_
#define CAFFE_ACU_LAYERS_LAYER_ERROR_HPP_

#include <glog/logging.h>

#include <new>
#include <string>

#include "caffe/proto/caffe.pb.h"
#include "caffe_acu/util/prototxt.hpp"

namespace caffe {

/// "net.prototxt:14: ACU layer 'conv1': ", for the beginning of a warning about a layer that is being made.
inline std::string LayerLabel(const LayerParameter& layer) {
  const std::string place = PrototxtOf(layer);
  return (place.empty() ? "" : place + ": ") + layer.type() + " layer '" + layer.name() + "': ";
}

/// Calls body, whose Errors get the name of the layer, and the place of its description unless that is long gone, as
/// when it runs. Exceptions of libraries become Errors.
template <typename Body>
auto InLayer(const LayerParameter& layer, bool being_made, Body body) -> decltype(body()) {
  const auto name = [&](Error error) {
    error.SetLayer(layer.name(), layer.type(), being_made ? PrototxtOf(layer) : "");
    return error;
  };
  try {
    return body();
  } catch (const Error& error) {
    throw name(error);
  } catch (const std::bad_alloc&) {
    throw name(Error(__FILE__, __LINE__, "out of memory. A smaller batch_size, crop or image needs less."));
  } catch (const std::exception& exception) {
    throw name(Error(__FILE__, __LINE__, exception.what()));
  }
}

[[noreturn]] inline void UnknownLayerType(const LayerParameter& layer, const std::vector<std::string>& types) {
  Error error(__FILE__, __LINE__, "this Caffe has no layer of that type." + DidYouMean(layer.type(), types));
  error.SetLayer(layer.name(), layer.type(), PrototxtOf(layer));
  throw error;
}

}  // namespace caffe

/// In a layer that is being made: throws a sentence that begins with prototxt and layer.
#define LAYER_CHECK(condition)                                                                                \
  (condition) ? (void)0                                                                                       \
              : CAFFE_ACU_RAISE.InLayer(this->layer_param_.name(), this->layer_param_.type(),                 \
                                        ::caffe::PrototxtOf(this->layer_param_)) & ::caffe::Words().stream()

#endif  // CAFFE_ACU_LAYERS_LAYER_ERROR_HPP_
