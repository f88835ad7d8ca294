// The CUDA runtime that Caffe uses, over the CPU's memory.
#include <cuda_runtime.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "caffe_acu/emulation/memory.hpp"
#include "caffe_acu/emulation/waits.hpp"

// What a stream is: the device on which it was made.
struct CUstream_st {
  int device;
};

namespace emulation {
namespace {

constexpr size_t kAlignment = 256;
constexpr size_t kGuardBytes = 256;
constexpr unsigned char kGuard = 0xa5;
constexpr unsigned char kUnwritten = 0xff;  // NaN, in any precision

struct Allocation {
  size_t bytes;
  int device;
};

int DevicesOfEnvironment() {
  const char* text = std::getenv("CAFFE_ACU_EMULATION_DEVICES");
  return text ? std::atoi(text) : 1;
}

std::mutex mutex;
std::map<const char*, Allocation> allocations;  // of the GPUs, by address
long waits = 0;
size_t memory = size_t(8) << 30;  // bytes of each GPU
std::map<int, size_t> in_use;     // bytes, by GPU
int devices = DevicesOfEnvironment();
thread_local int current = 0;
thread_local cudaError_t last_error = cudaSuccess;

// The allocation that an address is in, or the end.
std::map<const char*, Allocation>::const_iterator Find(const void* address) {
  const char* byte = static_cast<const char*>(address);
  auto after = allocations.upper_bound(byte);
  if (after == allocations.begin()) return allocations.end();
  const auto found = std::prev(after);
  return byte < found->first + found->second.bytes ? found : allocations.end();
}

size_t FreeBytes() { return memory - std::min(in_use[current], memory); }

bool IsDevice(int device) {
  const std::lock_guard<std::mutex> lock(mutex);
  return device >= 0 && device < devices;
}

bool IsOnDevice(const void* address) {
  const std::lock_guard<std::mutex> lock(mutex);
  return Find(address) != allocations.end();
}

// Ends the process unless `bytes` from an address, if it is the GPU's, belong to one allocation.
void CheckRange(const void* address, size_t bytes) {
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = Find(address);
  if (found == allocations.end()) return;
  if (static_cast<const char*>(address) + bytes <= found->first + found->second.bytes) return;
  std::fprintf(stderr, "a copy or memset of %zu bytes leaves an allocation of %zu\n", bytes, found->second.bytes);
  std::abort();
}

}  // namespace

void CountWait() {
  const std::lock_guard<std::mutex> lock(mutex);
  ++waits;
}

int CurrentDevice() { return current; }

void RequireCurrent(const char* user, int device) {
  if (device == current) return;
  std::fprintf(stderr, "%s on device %d is given something of device %d\n", user, current, device);
  std::abort();
}

void RequireOwnStream(const char* user, cudaStream_t stream) {
  if (stream) RequireCurrent(user, stream->device);
}

void RequireOwnAddresses(const char* user, const void* values, size_t bytes) {
  const char* const begin = static_cast<const char*>(values);
  const std::lock_guard<std::mutex> lock(mutex);
  for (size_t at = 0; at + sizeof(void*) <= bytes; at += sizeof(void*)) {
    const void* address;
    std::memcpy(&address, begin + at, sizeof(address));
    const auto found = Find(address);
    if (found != allocations.end()) RequireCurrent(user, found->second.device);
  }
}

}  // namespace emulation

using emulation::CountWait;

extern "C" {

long caffe_acu_emulation_host_waits() {
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  return emulation::waits;
}

void caffe_acu_emulation_device(size_t memory, int devices) {
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  emulation::memory = memory;
  emulation::devices = devices;
}

cudaError_t cudaMalloc(void** address, size_t bytes) {
  CountWait();
  {
    const std::lock_guard<std::mutex> lock(emulation::mutex);
    if (bytes > emulation::FreeBytes()) {
      emulation::last_error = cudaErrorMemoryAllocation;
      return cudaErrorMemoryAllocation;
    }
    emulation::in_use[emulation::current] += bytes;
  }
  const size_t room = (bytes + emulation::kGuardBytes + emulation::kAlignment - 1) / emulation::kAlignment;
  char* memory = static_cast<char*>(std::aligned_alloc(emulation::kAlignment, room * emulation::kAlignment));
  *address = memory;
  if (!memory) return cudaErrorMemoryAllocation;
  std::memset(memory, emulation::kUnwritten, bytes);
  std::memset(memory + bytes, emulation::kGuard, emulation::kGuardBytes);
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  emulation::allocations[memory] = {bytes, emulation::current};
  return cudaSuccess;
}

cudaError_t cudaFree(void* address) {
  if (!address) return cudaSuccess;
  CountWait();
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  const auto found = emulation::allocations.find(static_cast<const char*>(address));
  if (found == emulation::allocations.end()) return cudaErrorInvalidValue;
  const auto [bytes, device] = found->second;
  const char* guard = found->first + bytes;
  for (size_t i = 0; i < emulation::kGuardBytes; ++i) {
    if (static_cast<unsigned char>(guard[i]) == emulation::kGuard) continue;
    std::fprintf(stderr, "a kernel wrote behind an allocation of %zu bytes, at byte %zu\n", bytes, bytes + i);
    std::abort();
  }
  emulation::in_use[device] -= bytes;
  emulation::allocations.erase(found);
  std::free(address);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  *total = emulation::memory;
  *free = emulation::FreeBytes();
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** address, size_t bytes) {
  *address = std::malloc(bytes ? bytes : 1);
  return *address ? cudaSuccess : cudaErrorMemoryAllocation;
}

cudaError_t cudaFreeHost(void* address) {
  std::free(address);
  return cudaSuccess;
}

// From and to any device, as CUDA allows.
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t) {
  emulation::CheckRange(to, bytes);
  emulation::CheckRange(from, bytes);
  std::memmove(to, from, bytes);
  return cudaSuccess;
}

// Between two places of the GPU it does not hold up the host.
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (!emulation::IsOnDevice(to) || !emulation::IsOnDevice(from)) CountWait();
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}

cudaError_t cudaMemset(void* address, int value, size_t bytes) {
  emulation::CheckRange(address, bytes);
  std::memset(address, value, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* address, int value, size_t bytes, cudaStream_t) {
  return cudaMemset(address, value, bytes);
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  *count = emulation::devices;
  return emulation::devices ? cudaSuccess : cudaErrorNoDevice;
}
cudaError_t cudaGetDevice(int* device) {
  *device = emulation::current;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (!emulation::IsDevice(device)) return cudaErrorInvalidDevice;
  emulation::current = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (!emulation::IsDevice(device)) return cudaErrorInvalidDevice;
  *properties = cudaDeviceProp();
  std::strcpy(properties->name, "emulation on the CPU");
  properties->major = 9;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->sharedMemPerBlock = 48 << 10;
  properties->totalGlobalMem = emulation::memory;
  properties->multiProcessorCount = 1;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr, int) {
  *value = 0;
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* address) {
  *attributes = cudaPointerAttributes();
  attributes->type = cudaMemoryTypeUnregistered;
  const std::lock_guard<std::mutex> lock(emulation::mutex);
  const auto found = emulation::Find(address);
  if (found == emulation::allocations.end()) return cudaSuccess;
  attributes->type = cudaMemoryTypeDevice;
  attributes->device = found->second.device;
  return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() { return emulation::last_error; }
cudaError_t cudaGetLastError() {
  const cudaError_t error = emulation::last_error;
  emulation::last_error = cudaSuccess;
  return error;
}
const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorMemoryAllocation ? "out of memory"
         : error == cudaErrorNoDevice       ? "no CUDA-capable device is detected"
                                            : "an error of the emulated GPU";
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = new CUstream_st{emulation::current};
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) { return cudaStreamCreate(stream); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t) {
  CountWait();
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  CountWait();
  return cudaSuccess;
}

// An event is the time at which it was recorded.
using Clock = std::chrono::steady_clock;
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = reinterpret_cast<cudaEvent_t>(new Clock::time_point());
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete reinterpret_cast<Clock::time_point*>(event);
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t) {
  *reinterpret_cast<Clock::time_point*>(event) = Clock::now();
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) {
  CountWait();
  return cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const std::chrono::duration<float, std::milli> time =
      *reinterpret_cast<Clock::time_point*>(to) - *reinterpret_cast<Clock::time_point*>(from);
  *milliseconds = time.count();
  return cudaSuccess;
}

}  // extern "C"
