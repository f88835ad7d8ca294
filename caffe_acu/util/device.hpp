#ifndef CAFFE_ACU_UTIL_DEVICE_HPP_
#define CAFFE_ACU_UTIL_DEVICE_HPP_

#include <string>

#include "caffe/util/device_alternate.hpp"

namespace caffe {

/// Whether there is a GPU that CUDA can use; asked once. Always false in a build for the CPU only.
bool DeviceIsPresent();

/// Throws Error, with the cure, unless there is a GPU of this number that CUDA can use.
void RequireDevice(int device);

/// The number of a GPU from the command line; throws Error if it is none.
int DeviceNumber(const std::string& text);

/// Whether cuDNN can be used: it was built in, there is a GPU, and the library takes it. Asked once.
bool CudnnIsUsable();

/// The engine to make a layer with: as asked for, or CAFFE where cuDNN is not usable. (The engines have the
/// same numbers in all layers' parameters.)
template <typename Engine>
Engine UsableEngine(Engine asked) {
  constexpr int kCaffe = 1;
  return CudnnIsUsable() ? asked : static_cast<Engine>(kCaffe);
}

#ifndef CPU_ONLY
/// A property of a GPU, 0 if the driver does not know it.
int DeviceAttribute(cudaDeviceAttr attribute, int device = 0);
#endif

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_DEVICE_HPP_
