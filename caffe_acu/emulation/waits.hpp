#ifndef CAFFE_ACU_EMULATION_WAITS_HPP_
#define CAFFE_ACU_EMULATION_WAITS_HPP_

namespace emulation {

/// Notes that the host would have waited for the GPU here, or has made the GPU wait.
void CountWait();

}  // namespace emulation

#endif  // CAFFE_ACU_EMULATION_WAITS_HPP_
