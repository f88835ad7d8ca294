#include "caffe_acu/util/memory.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "caffe/util/device_alternate.hpp"

namespace caffe {
namespace {

const char kCure[] = "A smaller batch_size, crop or image needs less.";

// "1.5 GiB"
std::string Amount(size_t bytes) {
  const char* const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double amount = static_cast<double>(bytes);
  size_t unit = 0;
  for (; amount >= 1024 && unit + 1 < sizeof units / sizeof *units; ++unit) amount /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.1f %s", amount, units[unit]);
  return text;
}

// What the system can still give, without swap space being full; as much as there can be if it does not tell.
size_t AvailableBytes() {
  std::ifstream lines("/proc/meminfo");
  size_t kilobytes = 0, value;
  bool told = false;
  std::string name, unit;
  while (lines >> name >> value) {
    if (name == "MemAvailable:" || name == "SwapFree:") kilobytes += value;
    told = told || name == "MemAvailable:";
    std::getline(lines, unit);
  }
  return told ? kilobytes << 10 : std::numeric_limits<size_t>::max();
}

}  // namespace

void OutOfMemory(size_t bytes) {
  LOG(FATAL) << "out of memory: " << Amount(bytes) << " asked for at once, " << Amount(AvailableBytes())
             << " are available. " << kCure;
  std::abort();  // it has thrown
}

void* HostMemory(size_t bytes) {
  constexpr size_t kMuch = size_t(256) << 20;
  void* memory = bytes >= kMuch && bytes > AvailableBytes() ? nullptr : std::malloc(std::max<size_t>(bytes, 1));
  if (!memory) OutOfMemory(bytes);
  return memory;
}

#ifndef CPU_ONLY

void* DeviceMemory(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMalloc(&memory, bytes);
  if (error == cudaSuccess) return memory;
  cudaGetLastError();  // else the next check of a kernel would report it again
  int device = 0;
  size_t free = 0, total = 0;
  cudaGetDevice(&device);
  const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
  LOG(FATAL) << "GPU " << device << ": " << cudaGetErrorString(error) << ": " << Amount(bytes) << " asked for at once"
             << (known ? ", " + Amount(free) + " of " + Amount(total) + " are free. " : ". ") << kCure;
  return nullptr;
}

void* PinnedMemory(size_t bytes) {
  void* memory = nullptr;
  const cudaError_t error = cudaMallocHost(&memory, bytes);
  if (error == cudaSuccess) return memory;
  cudaGetLastError();
  LOG(FATAL) << cudaGetErrorString(error) << ": " << Amount(bytes) << " of the host's memory asked for at once, for "
             << "copies to the GPU; " << Amount(AvailableBytes()) << " are available. " << kCure;
  return nullptr;
}

#endif

}  // namespace caffe
