#ifndef CAFFE_ACU_EMULATION_SCHEDULER_HPP_
#define CAFFE_ACU_EMULATION_SCHEDULER_HPP_

#include <cuda_runtime.h>

#include <cstddef>
#include <functional>

#include "caffe_acu/emulation/memory.hpp"

namespace emulation {

/// What stands between <<< and >>>.
struct Configuration {
  Configuration(dim3 grid, dim3 block, size_t shared_bytes = 0, cudaStream_t stream = nullptr)
      : grid(grid), block(block), shared_bytes(shared_bytes), stream(stream) {}
  dim3 grid, block;
  size_t shared_bytes;
  cudaStream_t stream;
};

/// Where the running thread is; what kernels read as threadIdx and so on.
struct Place {
  uint3 thread, block;
  dim3 block_size, grid_size;
};
extern Place place;

/// Runs a kernel to its end, block after block; kernels that several host threads launch, one after another. Ends the
/// process, naming kernel and block, if threads wait for each other in a way that a GPU does not resolve.
void RunKernel(const char* name, const Configuration& configuration, const std::function<void()>& thread);

template <typename Kernel, typename... Arguments>
void Launch(const char* name, const Configuration& configuration, Kernel kernel, Arguments... arguments) {
  RequireOwnMemory(name, arguments...);
  RequireOwnStream(name, configuration.stream);
  RunKernel(name, configuration, [&] { kernel(arguments...); });
}

/// Waits for all threads of the block.
void BlockBarrier();

/// Waits for all lanes of the warp; each has given a value, and gets that of lane `from`. Lanes that are not asked
/// for anything pass their own number.
double Exchange(double value, int from);

/// As large as the launch said, and full of NaN when a block starts.
void* DynamicSharedMemory();

}  // namespace emulation

#endif  // CAFFE_ACU_EMULATION_SCHEDULER_HPP_
