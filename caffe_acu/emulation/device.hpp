// What nvcc provides to a kernel, for CUDA sources that are compiled as C++. Comes before everything else in them.
#ifndef CAFFE_ACU_EMULATION_DEVICE_HPP_
#define CAFFE_ACU_EMULATION_DEVICE_HPP_

#include <cuda_runtime.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <type_traits>

#include "caffe_acu/emulation/scheduler.hpp"

#define CAFFE_ACU_EMULATION

// Blocks run one after the other, so what is static belongs to the block that runs.
#undef __shared__
#define __shared__ static
#undef __launch_bounds__
#define __launch_bounds__(...)

#define threadIdx ::emulation::place.thread
#define blockIdx ::emulation::place.block
#define blockDim ::emulation::place.block_size
#define gridDim ::emulation::place.grid_size

inline void __syncthreads() { ::emulation::BlockBarrier(); }

template <typename T>
T __shfl_down_sync(unsigned, T value, int lanes) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  return static_cast<T>(::emulation::Exchange(value, lane + lanes < 32 ? lane + lanes : lane));
}

// Nothing runs beside anything else.
template <typename T>
T atomicAdd(T* sum, T value) {
  const T old = *sum;
  *sum += value;
  return old;
}
inline unsigned long long atomicCAS(unsigned long long* address, unsigned long long expected,
                                    unsigned long long value) {
  const unsigned long long old = *address;
  if (old == expected) *address = value;
  return old;
}
inline long long __double_as_longlong(double value) {
  long long bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}
inline double __longlong_as_double(long long bits) {
  double value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

template <typename T>
T __ldg(const T* value) { return *value; }

template <typename A, typename B>
std::common_type_t<A, B> min(A a, B b) { return b < a ? b : a; }
template <typename A, typename B>
std::common_type_t<A, B> max(A a, B b) { return a < b ? b : a; }

#endif  // CAFFE_ACU_EMULATION_DEVICE_HPP_
