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

// Rows that a strip reads of a column of the kernel, whose height is rounded up.
__device__ int KernelRows(const Box& box) {
  if (box.rows <= 3) return 3;
  if (box.rows <= 5) return 5;
  return (box.rows + kStripRows - 1) / kStripRows * kStripRows;
}

// A strip of outputs, whose first reads the tile from `tile` on.
template <int kStride, typename Dtype>
__device__ void FilterStrip(const Box& box, const Dtype* kernel, const Dtype* tile, int pitch, int stride,
                            Dtype (&sums)[kStripRows]) {
  const int rows = KernelRows(box);
  for (int column = 0; column < box.columns; ++column, kernel += kStripRows, ++tile) {
    if (rows == 3) {
      AddKernelColumn<3, kStride>(kernel, tile, pitch, stride, sums);
    } else if (rows == 5) {
      AddKernelColumn<5, kStride>(kernel, tile, pitch, stride, sums);
    } else {
      for (int block = 0; block * kStripRows < rows; ++block) {
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

// What a block filters, seen from the direction in which it goes.
struct Direction {
  int from_size, to_size;       // values of a plane
  int from_planes, to_planes;   // of an image
  int from_height, from_width;  // of the planes that are read
  int spread_h, spread_w;       // and how far apart their values are put
  int height, width;            // of the planes that are made
  int stride_h, stride_w;       // between the values that neighbouring results start from

  __host__ __device__ Direction(const DepthwiseShape& s, bool backward) {
    const SamplingGeometry& g = s.geometry;
    const int in_size = g.height * g.width, out_size = g.out_height * g.out_width;
    from_size = backward ? out_size : in_size;
    to_size = backward ? in_size : out_size;
    from_planes = s.channels * (backward ? s.multiplier : 1);
    to_planes = s.channels * (backward ? 1 : s.multiplier);
    from_height = backward ? g.out_height : g.height;
    from_width = backward ? g.out_width : g.width;
    spread_h = backward ? g.stride_h : 1;
    spread_w = backward ? g.stride_w : 1;
    height = backward ? g.height : g.out_height;
    width = backward ? g.width : g.out_width;
    stride_h = backward ? 1 : g.stride_h;
    stride_w = backward ? 1 : g.stride_w;
  }
  __device__ size_t from_step() const { return static_cast<size_t>(from_planes) * from_size; }
  __device__ size_t to_step() const { return static_cast<size_t>(to_planes) * to_size; }
};

// The planes of one output channel in some images.
template <typename Dtype>
struct Planes {
  const Dtype* from;  // of the first image, as to
  Dtype* to;
  const Dtype* weight;
  Dtype bias;
  bool add;
  int images;

  __device__ void Write(Dtype* target, Dtype value) const { *target = (add ? *target : bias) + value; }
};

// Where the results of a tile begin, and how many there are.
struct TilePlace {
  int image, images;  // of the block's
  int row, strips, column, columns;
  int tile_rows, pitch;
};

template <int kStride, typename Dtype>
__device__ void FilterTile(const Direction& d, const Planes<Dtype>& planes, const TilePlace& place, const Box& box,
                           const Dtype* kernel, const Dtype* tile) {
  for (int unit = threadIdx.x; unit < place.images * place.strips * place.columns; unit += kThreads) {
    const int column = unit % place.columns, rest = unit / place.columns;
    const int strip = rest % place.strips, image = rest / place.strips;
    const int to_column = place.column + column, to_row = place.row + strip * kStripRows;
    if (to_column >= d.width || to_row >= d.height) continue;
    const int tile_row = image * place.tile_rows + strip * kStripRows * d.stride_h;
    Dtype sums[kStripRows] = {};
    FilterStrip<kStride>(box, kernel, tile + tile_row * place.pitch + column * d.stride_w, place.pitch, d.stride_h,
                         sums);
    Dtype* target = planes.to + (place.image + image) * d.to_step() + to_row * d.width + to_column;
#pragma unroll
    for (int r = 0; r < kStripRows; ++r, target += d.width) {
      if (to_row + r < d.height) planes.Write(target, sums[r]);
    }
  }
}

template <typename Dtype>
__device__ void FilterFarPlanes(const DepthwiseShape& s, const Direction& d, const Planes<Dtype>& planes,
                                const DeviceTap<Dtype>* taps, bool backward) {
  for (int i = threadIdx.x; i < planes.images * d.to_size; i += kThreads) {
    const int image = i / d.to_size, pixel = i % d.to_size;
    planes.Write(planes.to + image * d.to_step() + pixel,
                 FilterFar(s, taps, planes.weight, planes.from + image * d.from_step(), backward, pixel / d.width,
                           pixel % d.width));
  }
}

// kStride: rows between outputs, 0 for any other number of them.
template <int kStride, typename Dtype>
__global__ void FilterKernel(const DepthwiseShape s, const DevicePositions<Dtype> positions, const Filtering<Dtype> f) {
  __shared__ Dtype tile[kTileValues<Dtype>];
  __shared__ __align__(16) Dtype kernel[kRowBlocks * kMostBox * kStripRows];
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const Direction d(s, f.backward);
  const int strips = (d.height + kStripRows - 1) / kStripRows;
  const int tile_columns = min(d.width, kTileColumns);
  const int first = blockIdx.x * f.images_per_block;
  const int images = min(f.images_per_block, s.images - first);

  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    const Box box = LoadChannel(s, positions, channel, taps);
    const int top = f.backward ? -(box.top + box.rows - 1) : box.top;
    const int left = f.backward ? -(box.left + box.columns - 1) : box.left;
    const int kernel_rows = KernelRows(box);
    const int pitch = (tile_columns - 1) * d.stride_w + box.columns;
    const TileSize size =
        FitTile(kTileValues<Dtype>, pitch, kernel_rows - d.stride_h, d.stride_h, strips, tile_columns, images);
    const int rows = (size.strips * kStripRows - 1) * d.stride_h + kernel_rows;

    for (int m = 0; m < s.multiplier; ++m) {
      const int output = channel * s.multiplier + m;
      const Planes<Dtype> planes = {
          f.from + first * d.from_step() + static_cast<size_t>(f.backward ? output : channel) * d.from_size,
          f.to + first * d.to_step() + static_cast<size_t>(f.backward ? channel : output) * d.to_size,
          f.weight + static_cast<size_t>(output) * s.synapses, f.bias ? f.bias[output] : Dtype(0),
          f.add || (f.backward && m > 0), images};
      if (!box.is_small() || !size.fits) {
        FilterFarPlanes(s, d, planes, taps, f.backward);
        continue;
      }
      FillKernel(taps, s.synapses, planes.weight, box, f.backward, kernel);
      for (int image = 0; image < images; image += size.images) {
        const int here = min(size.images, images - image);
        for (int strip = 0; strip < strips; strip += size.strips) {
          for (int column = 0; column < d.width; column += tile_columns) {
            __syncthreads();  // the kernel is filled, and nobody reads the tile before
            for (int i = 0; i < here; ++i) {
              const SpreadPlane<Dtype> plane = {planes.from + (image + i) * d.from_step(), d.from_height,
                                                d.from_width, d.spread_h, d.spread_w};
              LoadTile(plane, strip * kStripRows * d.stride_h + top, column * d.stride_w + left, rows, pitch,
                       tile + i * rows * pitch);
            }
            __syncthreads();
            FilterTile<kStride>(d, planes, {image, here, strip * kStripRows, size.strips, column, tile_columns, rows,
                                            pitch},
                                box, kernel, tile);
          }
        }
      }
      __syncthreads();  // nobody reads the kernel any more
    }
  }
}

template <typename Dtype>
void Filter(const DepthwiseShape& shape, const DevicePositions<Dtype>& positions, Filtering<Dtype> f) {
  const Direction d(shape, f.backward);
  f.images_per_block = ImagesPerBlock(shape, d.height, d.width, kThreads, kBlocks);
  const dim3 grid(DivideUp(shape.images, f.images_per_block), std::min(shape.channels, kMostGridRows));
  const size_t tap_bytes = TapBytes<Dtype>(shape.synapses);
  if (d.stride_h == 1) {
    FilterKernel<1><<<grid, kThreads, tap_bytes>>>(shape, positions, f);
  } else if (d.stride_h == 2) {
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
