#include "caffe_acu/step/position_kernels.hpp"

#include "caffe/common.hpp"

namespace caffe {
namespace {

template <typename Dtype>
__global__ void NormalizeKernel(int count, Dtype* gx, Dtype* gy) {
  CUDA_KERNEL_LOOP(i, count) {
    const Dtype length = hypot(gx[i], gy[i]);
    if (length == 0) continue;
    gx[i] /= length;
    gy[i] /= length;
  }
}

template <typename Dtype>
__global__ void FreezeFixedKernel(int sets, int synapses, const int* fixed, Dtype* diff) {
  CUDA_KERNEL_LOOP(set, sets) {
    if (fixed[set] >= 0) diff[set * synapses + fixed[set]] = 0;
  }
}

template <typename Dtype>
__global__ void FollowFixedKernel(int sets, int synapses, const Dtype* x, const Dtype* y, int* fixed) {
  CUDA_KERNEL_LOOP(set, sets) {
    const Dtype* set_x = x + set * synapses;
    const Dtype* set_y = y + set * synapses;
    const int known = fixed[set];
    if (known < 0 || (set_x[known] == 0 && set_y[known] == 0)) continue;
    int found = -1;
    for (int k = synapses - 1; k >= 0; --k) {
      if (set_x[k] == 0 && set_y[k] == 0) found = k;
    }
    fixed[set] = found;
  }
}

}  // namespace

template <typename Dtype>
void NormalizePositionsGpu(int count, Dtype* gx, Dtype* gy) {
  NormalizeKernel<<<CAFFE_GET_BLOCKS(count), CAFFE_CUDA_NUM_THREADS>>>(count, gx, gy);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void FreezeFixedGpu(int sets, int synapses, const int* fixed, Dtype* diff) {
  FreezeFixedKernel<<<CAFFE_GET_BLOCKS(sets), CAFFE_CUDA_NUM_THREADS>>>(sets, synapses, fixed, diff);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void FollowFixedGpu(int sets, int synapses, const Dtype* x, const Dtype* y, int* fixed) {
  FollowFixedKernel<<<CAFFE_GET_BLOCKS(sets), CAFFE_CUDA_NUM_THREADS>>>(sets, synapses, x, y, fixed);
  CUDA_POST_KERNEL_CHECK;
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                            \
  template void NormalizePositionsGpu(int, Dtype*, Dtype*);                     \
  template void FreezeFixedGpu(int, int, const int*, Dtype*);                   \
  template void FollowFixedGpu(int, int, const Dtype*, const Dtype*, int*)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
