#ifndef CAFFE_ACU_UTIL_PROTOTXT_HPP_
#define CAFFE_ACU_UTIL_PROTOTXT_HPP_

#include <google/protobuf/io/zero_copy_stream.h>
#include <google/protobuf/message.h>

#include <string>

namespace caffe {

/// Parses a prototxt. A mistake is logged as one line, `file:line:column: what is wrong`, followed by
/// the field that was probably meant. Returns whether it parsed.
bool ParsePrototxt(const std::string& filename, google::protobuf::io::ZeroCopyInputStream* input,
                   google::protobuf::Message* message);

/// The file that ParsePrototxt read last in this process, for messages about what stands in it; empty
/// if there was none.
const std::string& LastPrototxt();

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_PROTOTXT_HPP_
