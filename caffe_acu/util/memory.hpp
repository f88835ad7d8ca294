#ifndef CAFFE_ACU_UTIL_MEMORY_HPP_
#define CAFFE_ACU_UTIL_MEMORY_HPP_

#include <cstddef>

namespace caffe {

/// Throws Error: that there are not so many bytes of memory, how many there are, and the cure.
[[noreturn]] void OutOfMemory(size_t bytes);

/// As malloc, but throws OutOfMemory. Much of it is refused, too, where the system would only say that there is so much,
/// and kill the process when it is used.
void* HostMemory(size_t bytes);

#ifndef CPU_ONLY
/// Of the GPU; to be given to cudaFree. Throws Error with the bytes that were asked for, and those that are free.
void* DeviceMemory(size_t bytes);

/// Of the host, for copies to the GPU; to be given to cudaFreeHost.
void* PinnedMemory(size_t bytes);
#endif

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_MEMORY_HPP_
