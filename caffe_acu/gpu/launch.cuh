// What our kernels share: how they are launched, shared memory, sums over a block.
#ifndef CAFFE_ACU_GPU_LAUNCH_CUH_
#define CAFFE_ACU_GPU_LAUNCH_CUH_

#include <cuda_runtime.h>

namespace caffe {

constexpr int kWarp = 32;
constexpr int kMostGridRows = 65535;  // blocks along y and z

inline int DivideUp(long n, long d) { return static_cast<int>((n + d - 1) / d); }

/// The shared memory whose size the launch gave; aligned for any type.
template <typename T>
__device__ T* DynamicShared() {
#ifdef CAFFE_ACU_EMULATION
  return static_cast<T*>(::emulation::DynamicSharedMemory());
#else
  extern __shared__ __align__(16) unsigned char dynamic_shared[];
  return reinterpret_cast<T*>(dynamic_shared);
#endif
}

/// Sum over a warp, in an order that never changes; valid in its first lane.
template <typename T>
__device__ T WarpSum(T value) {
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) value += __shfl_down_sync(0xffffffffu, value, lanes);
  return value;
}

/**
 * @brief Sums of N values over a block of kThreads, in an order that never changes; valid in thread 0. All
 *        threads must call it; shared memory is free again when it returns.
 */
template <int kThreads, int N, typename T>
__device__ void BlockSums(T (&values)[N]) {
  constexpr int kWarps = kThreads / kWarp;
  __shared__ T sums[kWarps][N];
#pragma unroll
  for (int i = 0; i < N; ++i) values[i] = WarpSum(values[i]);
  if (threadIdx.x % kWarp == 0) {
    for (int i = 0; i < N; ++i) sums[threadIdx.x / kWarp][i] = values[i];
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kWarps; ++warp) {
      for (int i = 0; i < N; ++i) values[i] += sums[warp][i];
    }
  }
  __syncthreads();
}

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_LAUNCH_CUH_
