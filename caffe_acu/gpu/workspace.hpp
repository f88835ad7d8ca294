#ifndef CAFFE_ACU_GPU_WORKSPACE_HPP_
#define CAFFE_ACU_GPU_WORKSPACE_HPP_

#include <cstddef>

namespace caffe {

/**
 * @brief Scratch memory on the current GPU, for the calling thread; aligned to 256 bytes.
 *
 * Everybody who works on the default stream of a thread shares the same memory: it holds what was written
 * until the next call. It grows to the largest size asked for, so that in a training nothing is allocated
 * after the first iteration. Dies with a line that names the size if the GPU has not so much.
 */
void* GpuWorkspace(size_t bytes);

/// Bytes that sampled columns may take: CAFFE_ACU_WORKSPACE_MIB, default 48 MiB, about what a large GPU's
/// cache holds, so that columns are multiplied before they have to go to memory.
size_t ColumnWorkspaceLimit();

/// Bytes that one of cuDNN's algorithms may take: CAFFE_ACU_CUDNN_WORKSPACE_MIB, default 1024 MiB.
size_t CudnnWorkspaceLimit();

/// CAFFE_ACU_DETERMINISTIC=1: of cuDNN's algorithms only deterministic ones. Our own kernels always are.
bool Deterministic();

/// CAFFE_ACU_CUDNN_FIND=1: of cuDNN's algorithms the fastest one as measured, not as cuDNN guesses. Measured when
/// a shape first occurs; sums may then differ in their last bits from run to run.
bool MeasureAlgorithms();

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_WORKSPACE_HPP_
