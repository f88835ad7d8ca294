#ifndef CAFFE_ACU_FUZZ_SMALL_NET_HPP_
#define CAFFE_ACU_FUZZ_SMALL_NET_HPP_

#include <string>

#include "caffe/net.hpp"
#include "caffe/proto/caffe.pb.h"

namespace caffe {
namespace fuzz {

/// A network of a few hundred weights with all layers of ours, into which weights are loaded.
NetParameter SmallNet(Phase phase);

/// Fails for a message that would have Caffe read or write files: what these hold is another matter.
void RefuseFiles(const NetParameter& net);

/// Forward, and backward, if the network is small enough for that to take no time.
void RunIfSmall(Net<float>* net);

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_ACU_FUZZ_SMALL_NET_HPP_
