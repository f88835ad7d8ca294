#include "caffe_acu/gpu/sums.hpp"

#include "caffe/common.hpp"
#include "caffe_acu/gpu/launch.cuh"

namespace caffe {
namespace {

constexpr int kPositionThreads = 128;
constexpr int kBiasThreads = 512;

// A block for each synapse of each set. Few values come together here, from far apart: double precision.
template <typename Dtype>
__global__ void AddPositionSumsKernel(int rows_per_set, int synapses, int parts, const Dtype* contributions,
                                      Dtype* alpha, Dtype* beta) {
  const int set = blockIdx.x / synapses, k = blockIdx.x % synapses;
  double sums[2] = {0, 0};
  for (int i = threadIdx.x; i < rows_per_set * parts; i += kPositionThreads) {
    const size_t row = static_cast<size_t>(set) * rows_per_set + i / parts;
    const Dtype* contribution = contributions + 2 * ((row * synapses + k) * parts + i % parts);
    sums[0] += contribution[0];
    sums[1] += contribution[1];
  }
  BlockSums<kPositionThreads>(sums);
  if (threadIdx.x != 0) return;
  if (alpha) alpha[blockIdx.x] += static_cast<Dtype>(sums[0]);
  if (beta) beta[blockIdx.x] += static_cast<Dtype>(sums[1]);
}

// A block for each output.
template <typename Dtype>
__global__ void AddBiasGradientKernel(int images, int size, size_t image_step, const Dtype* output_gradient,
                                      Dtype* bias) {
  const Dtype* planes = output_gradient + static_cast<size_t>(blockIdx.x) * size;
  Dtype sum[1] = {0};
  const size_t count = static_cast<size_t>(images) * size;
  for (size_t i = threadIdx.x; i < count; i += kBiasThreads) sum[0] += planes[i / size * image_step + i % size];
  BlockSums<kBiasThreads>(sum);
  if (threadIdx.x == 0) bias[blockIdx.x] += sum[0];
}

}  // namespace

template <typename Dtype>
void AddPositionSums(int rows, int synapses, int parts, int sets, const Dtype* contributions, Dtype* alpha,
                     Dtype* beta) {
  AddPositionSumsKernel<<<sets * synapses, kPositionThreads>>>(rows / sets, synapses, parts, contributions, alpha,
                                                               beta);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void AddBiasGradient(const ActiveConvolutionShape& shape, const Dtype* output_gradient, Dtype* bias) {
  AddBiasGradientKernel<<<shape.outputs, kBiasThreads>>>(shape.images, shape.geometry.out_size(), shape.output_step(),
                                                         output_gradient, bias);
  CUDA_POST_KERNEL_CHECK;
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                          \
  template void AddPositionSums(int, int, int, int, const Dtype*, Dtype*, Dtype*);            \
  template void AddBiasGradient(const ActiveConvolutionShape&, const Dtype*, Dtype*)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
