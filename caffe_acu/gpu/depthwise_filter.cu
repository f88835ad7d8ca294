// Forward pass and input gradient of depthwise active convolutions: planes filtered with sparse kernels.
#include <algorithm>

#include "caffe/common.hpp"
#include "caffe_acu/gpu/plane_tiles.cuh"

namespace caffe {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocks = 4096;  // about as many as keep a large GPU busy to the end
constexpr int kRowBlocks = kMostBox / kStripRows;

// Pointers and directions of a filtering: forward from input to output, backward from gradient to gradient.
template <typename Dtype>
struct Filtering {
  const Dtype* from;
  const Dtype* weight;  // (channels * multiplier, synapses)
  const Dtype* bias;    // null: none
  Dtype* to;
  bool backward, add;
  int images_per_block;
};

// The synapses of an output as a kernel in strips of columns, [row block][column][kStripRows], turned around
// for the way back.
template <typename Dtype>
__device__ void FillKernel(const DeviceTap<Dtype>* taps, int synapses, const Dtype* weight, const Box& box, bool turned,
                           Dtype* kernel) {
  const int row_blocks = (box.rows + kStripRows - 1) / kStripRows;
  for (int i = threadIdx.x; i < row_blocks * kStripRows * box.columns; i += blockDim.x) {
    const int row = i / (kStripRows * box.columns) * kStripRows + i % kStripRows;
    const int column = i / kStripRows % box.columns;
    const int cell_row = box.top + (turned ? box.rows - 1 - row : row);
    const int cell_column = box.left + (turned ? box.columns - 1 - column : column);
    Dtype sum = 0;
    for (int k = 0; k < synapses; ++k) {
      const int dr = cell_row - taps[k].row, dc = cell_column - taps[k].column;
      if (!taps[k].visible || dr < 0 || dr > 1 || dc < 0 || dc > 1) continue;
      sum += weight[k] * (taps[k].row_weight(dr) * taps[k].column_weight(dc));
    }
    kernel[i] = sum;
  }
}

// Adds a column of the kernel, kRows high, times the values below each other from `tile` to a strip of outputs.
template <int kRows, int kStride, typename Dtype>
__device__ void AddKernelColumn(const Dtype* kernel, const Dtype* tile, int pitch, int stride,
                                Dtype (&sums)[kStripRows]) {
  Dtype coefficients[kRows];
  bool any = false;
#pragma unroll
  for (int i = 0; i < kRows; ++i) {
    coefficients[i] = kernel[i];
    any = any || coefficients[i] != 0;
  }
  if (!any) return;
  if (kStride > 0) {
#pragma unroll
    for (int i = 0; i < (kStripRows - 1) * kStride + kRows; ++i) {
      const Dtype value = tile[i * pitch];
#pragma unroll
      for (int s = 0; s < kStripRows; ++s) {
        const int j = i - s * kStride;
        if (j >= 0 && j < kRows) sums[s] += coefficients[j] * value;
      }
    }
  } else {
    for (int s = 0; s < kStripRows; ++s) {
#pragma unroll
      for (int i = 0; i < kRows; ++i) sums[s] += coefficients[i] * tile[(s * stride + i) * pitch];
    }
  }
}

// A strip of outputs, whose first reads the tile from `tile` on.
template <int kStride, typename Dtype>
__device__ void FilterStrip(const Box& box, const Dtype* kernel, const Dtype* tile, int pitch, int stride,
                            Dtype (&sums)[kStripRows]) {
  for (int column = 0; column < box.columns; ++column, kernel += kStripRows, ++tile) {
    if (box.rows <= 3) {
      AddKernelColumn<3, kStride>(kernel, tile, pitch, stride, sums);
    } else if (box.rows <= 5) {
      AddKernelColumn<5, kStride>(kernel, tile, pitch, stride, sums);
    } else {
      for (int block = 0; block * kStripRows < box.rows; ++block) {
        AddKernelColumn<kStripRows, kStride>(kernel + block * box.columns * kStripRows,
                                             tile + block * kStripRows * pitch, pitch, stride, sums);
      }
    }
  }
}

// Without a tile: an output, or a pixel of the input's gradient, read from where everything lies.
template <typename Dtype>
__device__ Dtype FilterFar(const DepthwiseShape& s, const DeviceTap<Dtype>* taps, const Dtype* weight,
                           const Dtype* plane, bool backward, int row, int column) {
  const SamplingGeometry& g = s.geometry;
  Dtype sum = 0;
  for (int k = 0; k < s.synapses; ++k) {
    const DeviceTap<Dtype> tap = taps[k];
    if (!tap.visible) continue;
    if (!backward) {
      const Neighbours<Dtype> q(plane, g, row * g.stride_h + tap.row, column * g.stride_w + tap.column);
      sum += weight[k] * Interpolate(tap, q.q11, q.q21, q.q12, q.q22);
      continue;
    }
    const SpreadPlane<Dtype> gradient = {plane, g.out_height, g.out_width, g.stride_h, g.stride_w};
    for (int dr = 0; dr < 2; ++dr) {
      for (int dc = 0; dc < 2; ++dc) {
        sum += weight[k] * (tap.row_weight(dr) * tap.column_weight(dc)) *
               gradient.at(row - tap.row - dr, column - tap.column - dc);
      }
    }
  }
  return sum;
}

// kStride: rows between outputs, 0 for any other number of them.
template <int kStride, typename Dtype>
__global__ void FilterKernel(const DepthwiseShape s, const DevicePositions<Dtype> positions, const Filtering<Dtype> f) {
  const SamplingGeometry& g = s.geometry;
  __shared__ Dtype tile[kTileValues<Dtype>];
  __shared__ __align__(16) Dtype kernel[kRowBlocks * kMostBox * kStripRows];
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const bool backward = f.backward;
  const int in_size = g.height * g.width, out_size = g.out_height * g.out_width;
  const int from_size = backward ? out_size : in_size, to_size = backward ? in_size : out_size;
  const int height = backward ? g.height : g.out_height, width = backward ? g.width : g.out_width;
  const int stride_h = backward ? 1 : g.stride_h, stride_w = backward ? 1 : g.stride_w;
  const int from_planes = s.channels * (backward ? s.multiplier : 1), to_planes = s.channels * (backward ? 1 : s.multiplier);
  const int strips = (height + kStripRows - 1) / kStripRows;
  const int first = blockIdx.x * f.images_per_block;
  const int images = min(f.images_per_block, s.images - first);

  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    const Box box = LoadChannel(s, positions, channel, taps);
    // Rows that a strip reads, in which the kernel's height is rounded up.
    const int kernel_rows = box.rows <= 3 ? 3 : box.rows <= 5 ? 5 : (box.rows + kStripRows - 1) / kStripRows * kStripRows;
    const int tile_columns = min(width, kTileColumns);
    const int pitch = (tile_columns - 1) * stride_w + box.columns;
    const TileSize size = FitTile(kTileValues<Dtype>, pitch, kernel_rows - stride_h, stride_h, strips, tile_columns,
                                  images);
    const bool tiled = box.is_small() && size.fits;
    const int top = backward ? -(box.top + box.rows - 1) : box.top;
    const int left = backward ? -(box.left + box.columns - 1) : box.left;

    for (int m = 0; m < s.multiplier; ++m) {
      const int output = channel * s.multiplier + m;
      const Dtype* weight = f.weight + static_cast<size_t>(output) * s.synapses;
      const Dtype* from = f.from + (static_cast<size_t>(first) * from_planes + (backward ? output : channel)) * from_size;
      Dtype* to = f.to + (static_cast<size_t>(first) * to_planes + (backward ? channel : output)) * to_size;
      const Dtype bias = f.bias ? f.bias[output] : Dtype(0);
      const bool add = f.add || (backward && m > 0);
      if (!tiled) {
        for (int i = threadIdx.x; i < images * to_size; i += kThreads) {
          const int image = i / to_size, pixel = i % to_size;
          const Dtype value = FilterFar(s, taps, weight, from + static_cast<size_t>(image) * from_planes * from_size,
                                        backward, pixel / width, pixel % width);
          Dtype* target = to + static_cast<size_t>(image) * to_planes * to_size + pixel;
          *target = (add ? *target : bias) + value;
        }
        continue;
      }
      FillKernel(taps, s.synapses, weight, box, backward, kernel);
      const int rows = (size.strips * kStripRows - 1) * stride_h + kernel_rows;
      for (int image = 0; image < images; image += size.images) {
        const int here = min(size.images, images - image);
        for (int strip = 0; strip < strips; strip += size.strips) {
          for (int column = 0; column < width; column += tile_columns) {
            __syncthreads();  // the kernel is filled, and nobody reads the tile before
            for (int i = 0; i < here; ++i) {
              const SpreadPlane<Dtype> plane = {from + static_cast<size_t>(image + i) * from_planes * from_size,
                                                backward ? g.out_height : g.height, backward ? g.out_width : g.width,
                                                backward ? g.stride_h : 1, backward ? g.stride_w : 1};
              LoadTile(plane, strip * kStripRows * stride_h + top, column * stride_w + left, rows, pitch,
                       tile + i * rows * pitch);
            }
            __syncthreads();
            for (int unit = threadIdx.x; unit < here * size.strips * tile_columns; unit += kThreads) {
              const int unit_column = unit % tile_columns, rest = unit / tile_columns;
              const int unit_strip = rest % size.strips, i = rest / size.strips;
              const int to_column = column + unit_column, to_row = (strip + unit_strip) * kStripRows;
              if (to_column >= width || to_row >= height) continue;
              Dtype sums[kStripRows] = {};
              FilterStrip<kStride>(box, kernel,
                                   tile + (i * rows + unit_strip * kStripRows * stride_h) * pitch + unit_column * stride_w,
                                   pitch, stride_h, sums);
              Dtype* target = to + static_cast<size_t>(image + i) * to_planes * to_size + to_row * width + to_column;
#pragma unroll
              for (int r = 0; r < kStripRows; ++r, target += width) {
                if (to_row + r < height) *target = (add ? *target : bias) + sums[r];
              }
            }
          }
        }
      }
      __syncthreads();  // nobody reads the kernel any more
    }
  }
}

template <typename Dtype>
void Filter(const DepthwiseShape& shape, const DevicePositions<Dtype>& positions, Filtering<Dtype> f) {
  const SamplingGeometry& g = shape.geometry;
  const int height = f.backward ? g.height : g.out_height, width = f.backward ? g.width : g.out_width;
  // At least a strip for every thread, at most so many images that there are kBlocks.
  const int threads_per_image = std::min(kThreads, DivideUp(height, kStripRows) * std::min(width, kTileColumns));
  const int images = std::max<long>(kThreads / threads_per_image,
                                    static_cast<long>(shape.images) * shape.channels / kBlocks);
  f.images_per_block = std::max(1, std::min(images, shape.images));
  const dim3 grid(DivideUp(shape.images, f.images_per_block), std::min(shape.channels, kMostGridRows));
  const size_t tap_bytes = TapBytes<Dtype>(shape.synapses);
  const int stride = f.backward ? 1 : g.stride_h;
  if (stride == 1) {
    FilterKernel<1><<<grid, kThreads, tap_bytes>>>(shape, positions, f);
  } else if (stride == 2) {
    FilterKernel<2><<<grid, kThreads, tap_bytes>>>(shape, positions, f);
  } else {
    FilterKernel<0><<<grid, kThreads, tap_bytes>>>(shape, positions, f);
  }
  CUDA_POST_KERNEL_CHECK;
}

}  // namespace

template <typename Dtype>
void DepthwiseForward(const DepthwiseShape& shape, const Dtype* input, const Dtype* weight, const Dtype* bias,
                      const DevicePositions<Dtype>& positions, Dtype* output) {
  Filter(shape, positions, Filtering<Dtype>{input, weight, bias, output, false, false, 0});
}

template <typename Dtype>
void DepthwiseInputGradient(const DepthwiseShape& shape, const Dtype* output_gradient, const Dtype* weight,
                            const DevicePositions<Dtype>& positions, bool add, Dtype* input_gradient) {
  Filter(shape, positions, Filtering<Dtype>{output_gradient, weight, nullptr, input_gradient, true, add, 0});
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                              \
  template void DepthwiseForward(const DepthwiseShape&, const Dtype*, const Dtype*, const Dtype*,                 \
                                 const DevicePositions<Dtype>&, Dtype*);                                          \
  template void DepthwiseInputGradient(const DepthwiseShape&, const Dtype*, const Dtype*,                         \
                                       const DevicePositions<Dtype>&, bool, Dtype*)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
