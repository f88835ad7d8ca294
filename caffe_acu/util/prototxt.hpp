#ifndef CAFFE_ACU_UTIL_PROTOTXT_HPP_
#define CAFFE_ACU_UTIL_PROTOTXT_HPP_

#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/message.h>

#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// Parses a prototxt, or throws Error with the first mistake: `file:line:column: what is wrong`, followed by what was
/// probably meant. A column is a character, as editors count. True, always; Caffe's readers ask.
bool ParsePrototxt(const std::string& filename, google::protobuf::io::ZeroCopyInputStream* input,
                   google::protobuf::Message* message);

/// Where the layer is described, `file:line`, if its network is the one that was read last in this process; else that
/// file, or nothing if there was none. For messages about layers that are being made.
std::string PrototxtOf(const LayerParameter& layer);

/// " Did you mean ...?" with the name that is nearest to a wrong one; empty where none is near.
std::string DidYouMean(const std::string& wrong, const std::vector<std::string>& names);

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_PROTOTXT_HPP_
