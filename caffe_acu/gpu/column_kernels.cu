#include "caffe_acu/gpu/column_kernels.hpp"

#include <algorithm>

#include "caffe/common.hpp"
#include "caffe_acu/gpu/launch.cuh"
#include "caffe_acu/gpu/taps.cuh"

namespace caffe {
namespace {

constexpr int kThreads = 256;
constexpr int kOutputsPerThread = 4;  // of PositionSums: fewer sums over blocks

// The taps of a channel's set, in shared memory; waits until all threads may read them.
template <typename Dtype>
__device__ const DeviceTap<Dtype>* LoadTaps(const ColumnShape& s, const DevicePositions<Dtype>& positions, int channel) {
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const int set = static_cast<int>(static_cast<long>(channel) * s.sets / s.channels);
  __syncthreads();  // until nobody reads those of the channel before
  for (int k = threadIdx.x; k < s.synapses; k += blockDim.x) {
    taps[k] = MakeTap(positions, s.geometry, set, s.synapses, k);
  }
  __syncthreads();
  return taps;
}

// An output among those of all images.
struct Output {
  int image, row, column;  // row and column of its base point in the input, without the origin

  __device__ Output(const SamplingGeometry& g, int merged_index) {
    const int size = g.out_height * g.out_width;
    image = merged_index / size;
    const int pixel = merged_index % size;
    row = pixel / g.out_width * g.stride_h;
    column = pixel % g.out_width * g.stride_w;
  }
};

template <typename Dtype>
__global__ void SampleColumnsKernel(const ColumnShape s, const Dtype* input, const DevicePositions<Dtype> positions,
                                    Dtype* columns) {
  const SamplingGeometry& g = s.geometry;
  const int merged = s.images * g.out_height * g.out_width;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const Output output(g, i);
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    const DeviceTap<Dtype>* taps = LoadTaps(s, positions, channel);
    if (i >= merged) continue;
    const Dtype* plane = input + (static_cast<size_t>(output.image) * s.channels + channel) * g.height * g.width;
    Dtype* column = columns + static_cast<size_t>(channel) * s.synapses * merged + i;
    for (int k = 0; k < s.synapses; ++k, column += merged) {
      const DeviceTap<Dtype> tap = taps[k];
      *column = tap.visible ? Interpolate(Neighbours<Dtype>(plane, g, output.row + tap.row, output.column + tap.column),
                                          tap)
                            : Dtype(0);
    }
  }
}

// The output whose sample's neighbour `step` (0 or 1) pixels along an axis is the given pixel; -1 if none is.
__device__ int OutputReading(int pixel, int tap, int step, int stride, int outputs) {
  const int distance = pixel - tap - step;
  if (distance < 0 || distance % stride != 0) return -1;
  const int output = distance / stride;
  return output < outputs ? output : -1;
}

template <typename Dtype>
__global__ void GatherInputGradientKernel(const ColumnShape s, const Dtype* columns,
                                          const DevicePositions<Dtype> positions, bool add, Dtype* input_gradient) {
  const SamplingGeometry& g = s.geometry;
  const int in_size = g.height * g.width, out_size = g.out_height * g.out_width;
  const int merged = s.images * out_size;
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  const int image = i / in_size, row = i % in_size / g.width, column = i % g.width;
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    const DeviceTap<Dtype>* taps = LoadTaps(s, positions, channel);
    if (i >= s.images * in_size) continue;
    Dtype* pixel = input_gradient + (static_cast<size_t>(image) * s.channels + channel) * in_size + i % in_size;
    const Dtype* samples = columns + static_cast<size_t>(channel) * s.synapses * merged + image * out_size;
    Dtype sum = add ? *pixel : Dtype(0);
    for (int k = 0; k < s.synapses; ++k, samples += merged) {
      const DeviceTap<Dtype> tap = taps[k];
      if (!tap.visible) continue;
      for (int dr = 0; dr < 2; ++dr) {
        const int m = OutputReading(row, tap.row, dr, g.stride_h, g.out_height);
        if (m < 0 || tap.row_weight(dr) == 0) continue;
        for (int dc = 0; dc < 2; ++dc) {
          const int n = OutputReading(column, tap.column, dc, g.stride_w, g.out_width);
          if (n < 0 || tap.column_weight(dc) == 0) continue;
          sum += tap.row_weight(dr) * tap.column_weight(dc) * __ldg(samples + m * g.out_width + n);
        }
      }
    }
    *pixel = sum;
  }
}

template <typename Dtype>
__global__ void PositionSumsKernel(const ColumnShape s, const Dtype* input, const DevicePositions<Dtype> positions,
                                   bool samples, Dtype* columns, Dtype* sums) {
  const SamplingGeometry& g = s.geometry;
  const int merged = s.images * g.out_height * g.out_width;
  const int first = blockIdx.x * kThreads * kOutputsPerThread + threadIdx.x;
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    const DeviceTap<Dtype>* taps = LoadTaps(s, positions, channel);
    const Dtype* channel_planes = input + static_cast<size_t>(channel) * g.height * g.width;
    for (int k = 0; k < s.synapses; ++k) {
      const DeviceTap<Dtype> tap = taps[k];
      Dtype* row = columns + (static_cast<size_t>(channel) * s.synapses + k) * merged;
      // Of gradient times right - left, lower - upper, and the difference of the upper and lower right - left.
      Dtype differences[3] = {0, 0, 0};
#pragma unroll
      for (int j = 0; j < kOutputsPerThread; ++j) {
        const int i = first + j * kThreads;
        if (i >= merged) break;
        if (!tap.visible) {
          if (samples) row[i] = 0;
          continue;
        }
        const Output output(g, i);
        const Dtype* plane = channel_planes + static_cast<size_t>(output.image) * s.channels * g.height * g.width;
        const Neighbours<Dtype> q(plane, g, output.row + tap.row, output.column + tap.column);
        const Dtype gradient = row[i];
        differences[0] += gradient * (q.q21 - q.q11);
        differences[1] += gradient * (q.q12 - q.q11);
        differences[2] += gradient * ((q.q22 - q.q12) - (q.q21 - q.q11));
        if (samples) row[i] = Interpolate(q, tap);
      }
      if (sums == nullptr) continue;
      BlockSums<kThreads>(differences);
      if (threadIdx.x == 0) {
        Dtype* sum = sums + 2 * ((static_cast<size_t>(channel) * s.synapses + k) * gridDim.x + blockIdx.x);
        sum[0] = differences[0] + tap.b * differences[2];
        sum[1] = differences[1] + tap.a * differences[2];
      }
    }
  }
}

// Calls f(index in merged order, index in the images, plane) for the values of a thread.
template <typename Function>
__device__ void ForEachValue(const PlaneOrder& order, Function f) {
  const size_t row = static_cast<size_t>(order.images) * order.size;
  const size_t count = row * order.planes;
  const size_t threads = static_cast<size_t>(gridDim.x) * blockDim.x;
  for (size_t i = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += threads) {
    const int plane = static_cast<int>(i / row);
    const int rest = static_cast<int>(i % row);
    const int image = rest / order.size;
    f(i, image * order.image_step + static_cast<size_t>(plane) * order.size + rest % order.size, plane);
  }
}

template <typename Dtype>
__global__ void SplitImagesKernel(const PlaneOrder order, const Dtype* merged, const Dtype* bias, Dtype* images) {
  ForEachValue(order, [&](size_t in_merged, size_t in_images, int plane) {
    images[in_images] = merged[in_merged] + (bias ? bias[plane] : Dtype(0));
  });
}

template <typename Dtype>
__global__ void MergeImagesKernel(const PlaneOrder order, const Dtype* images, Dtype* merged) {
  ForEachValue(order, [&](size_t in_merged, size_t in_images, int) { merged[in_merged] = images[in_images]; });
}

dim3 ChannelGrid(int columns, int threads, const ColumnShape& shape) {
  return dim3(DivideUp(columns, threads), std::min(shape.channels, kMostGridRows));
}

int Blocks(const PlaneOrder& order) {
  const long values = static_cast<long>(order.images) * order.planes * order.size;
  return static_cast<int>(std::min<long>(DivideUp(values, kThreads), 1 << 20));
}

}  // namespace

template <typename Dtype>
void SampleColumns(const ColumnShape& shape, const Dtype* input, const DevicePositions<Dtype>& positions,
                   Dtype* columns) {
  SampleColumnsKernel<<<ChannelGrid(shape.merged(), kThreads, shape), kThreads, TapBytes<Dtype>(shape.synapses)>>>(
      shape, input, positions, columns);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void GatherInputGradient(const ColumnShape& shape, const Dtype* columns, const DevicePositions<Dtype>& positions,
                         bool add, Dtype* input_gradient) {
  const int pixels = shape.images * shape.geometry.in_size();
  GatherInputGradientKernel<<<ChannelGrid(pixels, kThreads, shape), kThreads, TapBytes<Dtype>(shape.synapses)>>>(
      shape, columns, positions, add, input_gradient);
  CUDA_POST_KERNEL_CHECK;
}

int PositionSumBlocks(const ColumnShape& shape) { return DivideUp(shape.merged(), kThreads * kOutputsPerThread); }

template <typename Dtype>
void PositionSums(const ColumnShape& shape, const Dtype* input, const DevicePositions<Dtype>& positions, bool samples,
                  Dtype* columns, Dtype* sums) {
  const dim3 grid(PositionSumBlocks(shape), std::min(shape.channels, kMostGridRows));
  PositionSumsKernel<<<grid, kThreads, TapBytes<Dtype>(shape.synapses)>>>(shape, input, positions, samples, columns, sums);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void SplitImages(const PlaneOrder& order, const Dtype* merged, const Dtype* bias, Dtype* images) {
  SplitImagesKernel<<<Blocks(order), kThreads>>>(order, merged, bias, images);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void MergeImages(const PlaneOrder& order, const Dtype* images, Dtype* merged) {
  MergeImagesKernel<<<Blocks(order), kThreads>>>(order, images, merged);
  CUDA_POST_KERNEL_CHECK;
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                              \
  template void SampleColumns(const ColumnShape&, const Dtype*, const DevicePositions<Dtype>&, Dtype*);           \
  template void GatherInputGradient(const ColumnShape&, const Dtype*, const DevicePositions<Dtype>&, bool, Dtype*); \
  template void PositionSums(const ColumnShape&, const Dtype*, const DevicePositions<Dtype>&, bool, Dtype*, Dtype*); \
  template void SplitImages(const PlaneOrder&, const Dtype*, const Dtype*, Dtype*);                               \
  template void MergeImages(const PlaneOrder&, const Dtype*, Dtype*)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
