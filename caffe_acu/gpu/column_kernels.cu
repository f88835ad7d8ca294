#include "caffe_acu/gpu/column_kernels.hpp"

#include <algorithm>

#include "caffe/common.hpp"
#include "caffe_acu/gpu/launch.cuh"
#include "caffe_acu/gpu/taps.cuh"

namespace caffe {
namespace {

constexpr int kThreads = 256;
constexpr int kStrip = 8;  // values of a thread, one below the other: each row read serves two of them

// Up to kStrip values of a plane, one below the other.
struct Strip {
  int image, row, column;
  int rows;   // that the plane has; 0 beyond the last image
  int first;  // index of the first value among those of all images

  __device__ Strip(int images, int height, int width, int index) {
    const int strips = (height + kStrip - 1) / kStrip;
    image = index / (strips * width);
    row = index / width % strips * kStrip;
    column = index % width;
    rows = image < images ? min(kStrip, height - row) : 0;
    first = (image * height + row) * width + column;
  }
};

int Strips(int images, int height, int width) { return images * DivideUp(height, kStrip) * width; }

// Two pixels side by side.
template <typename Dtype>
struct PixelPair {
  Dtype left, right;
};

// Calls f(r, upper pair, lower pair) for the four neighbours of the samples at (row + r * stride, column).
template <typename Dtype, typename Function>
__device__ void ForEachSample(const Dtype* plane, const SamplingGeometry& g, int row, int column, Function f) {
  const bool in_left = column >= 0 && column < g.width, in_right = column + 1 >= 0 && column + 1 < g.width;
  const auto load = [&](int r) {
    const Dtype* left = plane + r * g.width + column;
    const bool inside = r >= 0 && r < g.height;
    return PixelPair<Dtype>{inside && in_left ? __ldg(left) : Dtype(0),
                            inside && in_right ? __ldg(left + 1) : Dtype(0)};
  };
  PixelPair<Dtype> upper = load(row);
#pragma unroll
  for (int r = 0; r < kStrip; ++r) {
    if (r > 0 && g.stride_h > 1) upper = load(row + r * g.stride_h);
    const PixelPair<Dtype> lower = load(row + r * g.stride_h + 1);
    f(r, upper, lower);
    upper = lower;
  }
}

template <typename Dtype>
__global__ void SampleColumnsKernel(const ColumnShape s, const Dtype* input, const DevicePositions<Dtype> positions,
                                    Dtype* columns) {
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const SamplingGeometry& g = s.geometry;
  const int merged = s.images * g.out_height * g.out_width;
  const Strip strip(s.images, g.out_height, g.out_width, blockIdx.x * kThreads + threadIdx.x);
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    LoadTaps(s, positions, channel, taps);
    if (strip.rows == 0) continue;
    const Dtype* plane = input + (static_cast<size_t>(strip.image) * s.channels + channel) * g.height * g.width;
    Dtype* sample = columns + static_cast<size_t>(channel) * s.synapses * merged + strip.first;
    for (int k = 0; k < s.synapses; ++k, sample += merged) {
      const DeviceTap<Dtype> tap = taps[k];
      if (!tap.visible) {
        for (int r = 0; r < strip.rows; ++r) sample[r * g.out_width] = 0;
        continue;
      }
      ForEachSample(plane, g, strip.row * g.stride_h + tap.row, strip.column * g.stride_w + tap.column,
                    [&](int r, const PixelPair<Dtype>& upper, const PixelPair<Dtype>& lower) {
                      if (r >= strip.rows) return;
                      sample[r * g.out_width] =
                          Interpolate(tap, upper.left, upper.right, lower.left, lower.right);
                    });
    }
  }
}

// The output at a distance in input pixels, -1 if there is none: a stride leaves most out.
__device__ int OutputAt(int distance, int stride, int outputs) {
  if (stride > 1) {
    if (distance % stride != 0) return -1;
    distance /= stride;
  }
  return distance >= 0 && distance < outputs ? distance : -1;
}

template <typename Dtype>
__global__ void GatherInputGradientKernel(const ColumnShape s, const Dtype* columns,
                                          const DevicePositions<Dtype> positions, bool add, Dtype* input_gradient) {
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const SamplingGeometry& g = s.geometry;
  const int out_size = g.out_height * g.out_width, merged = s.images * out_size;
  const Strip strip(s.images, g.height, g.width, blockIdx.x * kThreads + threadIdx.x);
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    LoadTaps(s, positions, channel, taps);
    if (strip.rows == 0) continue;
    Dtype* pixels = input_gradient + (static_cast<size_t>(strip.image) * s.channels + channel) * g.height * g.width +
                    strip.row * g.width + strip.column;
    const Dtype* plane = columns + static_cast<size_t>(channel) * s.synapses * merged + strip.image * out_size;
    Dtype sums[kStrip] = {};
    for (int k = 0; k < s.synapses; ++k, plane += merged) {
      const DeviceTap<Dtype> tap = taps[k];
      if (!tap.visible) continue;
      // The pixel is left neighbour of the sample in one column of outputs, and right neighbour in another.
      const int left = tap.a == 1 ? -1 : OutputAt(strip.column - tap.column, g.stride_w, g.out_width);
      const int right = tap.a == 0 ? -1 : OutputAt(strip.column - tap.column - 1, g.stride_w, g.out_width);
      const auto load = [&](int distance) {
        const int m = OutputAt(distance, g.stride_h, g.out_height);
        const Dtype* row = plane + m * g.out_width;
        return (m >= 0 && left >= 0 ? (1 - tap.a) * __ldg(row + left) : Dtype(0)) +
               (m >= 0 && right >= 0 ? tap.a * __ldg(row + right) : Dtype(0));
      };
      Dtype as_lower = load(strip.row - tap.row - 1);
#pragma unroll
      for (int r = 0; r < kStrip; ++r) {
        const Dtype as_upper = load(strip.row + r - tap.row);
        sums[r] += (1 - tap.b) * as_upper + tap.b * as_lower;
        as_lower = as_upper;
      }
    }
#pragma unroll
    for (int r = 0; r < kStrip; ++r) {
      if (r < strip.rows) pixels[r * g.width] = (add ? pixels[r * g.width] : Dtype(0)) + sums[r];
    }
  }
}

template <typename Dtype>
__global__ void PositionSumsKernel(const ColumnShape s, const Dtype* input, const DevicePositions<Dtype> positions,
                                   bool samples, Dtype* columns, Dtype* sums) {
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const SamplingGeometry& g = s.geometry;
  const int merged = s.images * g.out_height * g.out_width;
  const Strip strip(s.images, g.out_height, g.out_width, blockIdx.x * kThreads + threadIdx.x);
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    LoadTaps(s, positions, channel, taps);
    const Dtype* plane = input + (static_cast<size_t>(strip.image) * s.channels + channel) * g.height * g.width;
    for (int k = 0; k < s.synapses; ++k) {
      const DeviceTap<Dtype> tap = taps[k];
      Dtype* sample = columns + (static_cast<size_t>(channel) * s.synapses + k) * merged + strip.first;
      // Of gradient times right - left, lower - upper, and the difference of the lower and upper right - left.
      Dtype differences[3] = {0, 0, 0};
      if (!tap.visible) {
        for (int r = 0; samples && r < strip.rows; ++r) sample[r * g.out_width] = 0;
      } else if (strip.rows > 0) {
        ForEachSample(plane, g, strip.row * g.stride_h + tap.row, strip.column * g.stride_w + tap.column,
                      [&](int r, const PixelPair<Dtype>& upper, const PixelPair<Dtype>& lower) {
                        if (r >= strip.rows) return;
                        const Dtype gradient = sample[r * g.out_width];
                        const Dtype step = upper.right - upper.left;
                        differences[0] += gradient * step;
                        differences[1] += gradient * (lower.left - upper.left);
                        differences[2] += gradient * ((lower.right - lower.left) - step);
                        if (!samples) return;
                        sample[r * g.out_width] =
                            Interpolate(tap, upper.left, upper.right, lower.left, lower.right);
                      });
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

dim3 ChannelGrid(int strips, const ColumnShape& shape) {
  return dim3(DivideUp(strips, kThreads), std::min(shape.channels, kMostGridRows));
}

int OutputStrips(const ColumnShape& shape) {
  return Strips(shape.images, shape.geometry.out_height, shape.geometry.out_width);
}

int Blocks(const PlaneOrder& order) {
  const long values = static_cast<long>(order.images) * order.planes * order.size;
  return static_cast<int>(std::min<long>(DivideUp(values, kThreads), 1 << 20));
}

}  // namespace

template <typename Dtype>
void SampleColumns(const ColumnShape& shape, const Dtype* input, const DevicePositions<Dtype>& positions,
                   Dtype* columns) {
  SampleColumnsKernel<<<ChannelGrid(OutputStrips(shape), shape), kThreads, TapBytes<Dtype>(shape.synapses)>>>(
      shape, input, positions, columns);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void GatherInputGradient(const ColumnShape& shape, const Dtype* columns, const DevicePositions<Dtype>& positions,
                         bool add, Dtype* input_gradient) {
  const int strips = Strips(shape.images, shape.geometry.height, shape.geometry.width);
  GatherInputGradientKernel<<<ChannelGrid(strips, shape), kThreads, TapBytes<Dtype>(shape.synapses)>>>(
      shape, columns, positions, add, input_gradient);
  CUDA_POST_KERNEL_CHECK;
}

int PositionSumBlocks(const ColumnShape& shape) { return DivideUp(OutputStrips(shape), kThreads); }

template <typename Dtype>
void PositionSums(const ColumnShape& shape, const Dtype* input, const DevicePositions<Dtype>& positions, bool samples,
                  Dtype* columns, Dtype* sums) {
  PositionSumsKernel<<<ChannelGrid(OutputStrips(shape), shape), kThreads, TapBytes<Dtype>(shape.synapses)>>>(
      shape, input, positions, samples, columns, sums);
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
