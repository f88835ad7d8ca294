#ifndef CAFFE_ACU_EMULATION_MEMORY_HPP_
#define CAFFE_ACU_EMULATION_MEMORY_HPP_

#include <cuda_runtime.h>

#include <cstddef>

namespace emulation {

/// The device that this thread has chosen. What follows ends the process, naming the user, if it is given something of
/// another device.
int CurrentDevice();
void RequireCurrent(const char* user, int device);
void RequireOwnStream(const char* user, cudaStream_t stream);
/// Looks at whatever may be an address in `bytes` of values, such as an argument of a kernel.
void RequireOwnAddresses(const char* user, const void* values, size_t bytes);

template <typename... Values>
void RequireOwnMemory(const char* user, const Values&... values) {
  (RequireOwnAddresses(user, &values, sizeof(values)), ...);
}

}  // namespace emulation

#endif  // CAFFE_ACU_EMULATION_MEMORY_HPP_
