// Gradients of weights and positions of depthwise active convolutions.
#include <algorithm>

#include "caffe/common.hpp"
#include "caffe_acu/gpu/plane_tiles.cuh"

namespace caffe {
namespace {

constexpr int kThreads = 128;
constexpr int kBlocks = 2048;  // about as many as keep a large GPU busy to the end
constexpr int kFinishThreads = 128;

// A channel of some images, and where the sums go.
template <typename Dtype>
struct Correlation {
  const Dtype* input;            // of the first image
  const Dtype* output_gradient;  // of the first image's output
  Dtype* sums;                   // of the output's first synapse and this part
  int images;
};

template <typename Dtype>
__device__ Dtype* SumsOf(const Correlation<Dtype>& c, int k) {
  return c.sums + 4 * static_cast<size_t>(k) * gridDim.x;
}

// The neighbours of a synapse are numbered 2 * dr + dc.
template <typename Dtype>
__device__ bool IsIn(const DeviceTap<Dtype>& tap, int neighbour, int top, int left, int size) {
  const int row = tap.row + neighbour / 2 - top, column = tap.column + neighbour % 2 - left;
  return tap.visible && row >= 0 && row < size && column >= 0 && column < size;
}

// Correlations with the input displaced by (top, left) and up to kSize - 1 pixels more both ways, in registers.
// The outputs' gradients are spread to the input's spacing, so that there is no stride; strips of them are
// multiplied with all pixels that they see.
template <int kSize, typename Dtype>
__device__ void CorrelateSquare(const DepthwiseShape& s, const DeviceTap<Dtype>* taps, const Correlation<Dtype>& c,
                                int top, int left, Dtype* tile) {
  bool needed = false;
  for (int i = 0; i < 4 * s.synapses; ++i) needed = needed || IsIn(taps[i / 4], i % 4, top, left, kSize);
  if (!needed) return;

  const SamplingGeometry& g = s.geometry;
  const int height = (g.out_height - 1) * g.stride_h + 1, width = (g.out_width - 1) * g.stride_w + 1;
  const int strips = (height + kStripRows - 1) / kStripRows, tile_columns = min(width, kTileColumns);
  // A row of both tiles; that of the input is longer, and there are kSize - 1 more of them.
  const int pitch = tile_columns + kSize - 1;
  const TileSize size = FitTile(kTileValues<Dtype>, 2 * pitch, kSize - 1, 1, strips, tile_columns, c.images);
  const int rows = size.strips * kStripRows, input_rows = rows + kSize - 1;
  Dtype* gradient_tile = tile + size.images * input_rows * pitch;

  Dtype sums[kSize * kSize] = {};
  for (int image = 0; image < c.images; image += size.images) {
    const int here = min(size.images, c.images - image);
    for (int strip = 0; strip < strips; strip += size.strips) {
      for (int column = 0; column < width; column += tile_columns) {
        __syncthreads();  // nobody reads the tiles before
        for (int i = 0; i < here; ++i) {
          const size_t input_step = static_cast<size_t>(s.channels) * g.height * g.width;
          const size_t output_step = static_cast<size_t>(s.channels) * s.multiplier * g.out_height * g.out_width;
          const SpreadPlane<Dtype> input = {c.input + (image + i) * input_step, g.height, g.width, 1, 1};
          const SpreadPlane<Dtype> gradient = {c.output_gradient + (image + i) * output_step, g.out_height, g.out_width,
                                               g.stride_h, g.stride_w};
          LoadTile(input, strip * kStripRows + top, column + left, input_rows, pitch, tile + i * input_rows * pitch);
          LoadTile(gradient, strip * kStripRows, column, rows, tile_columns, gradient_tile + i * rows * tile_columns);
        }
        __syncthreads();
        for (int unit = threadIdx.x; unit < here * size.strips * tile_columns; unit += kThreads) {
          const int unit_column = unit % tile_columns, rest = unit / tile_columns;
          const int unit_row = rest % size.strips * kStripRows, i = rest / size.strips;
          const Dtype* input = tile + (i * input_rows + unit_row) * pitch + unit_column;
          const Dtype* gradient = gradient_tile + (i * rows + unit_row) * tile_columns + unit_column;
          Dtype gradients[kStripRows];
#pragma unroll
          for (int r = 0; r < kStripRows; ++r) gradients[r] = gradient[r * tile_columns];
#pragma unroll
          for (int row = 0; row < kStripRows + kSize - 1; ++row) {
#pragma unroll
            for (int dc = 0; dc < kSize; ++dc) {
              const Dtype value = input[row * pitch + dc];
#pragma unroll
              for (int dr = 0; dr < kSize; ++dr) {
                if (row - dr >= 0 && row - dr < kStripRows) sums[dr * kSize + dc] += gradients[row - dr] * value;
              }
            }
          }
        }
      }
    }
  }
  BlockSums<kThreads>(sums);
  __shared__ Dtype square[kSize * kSize];
  if (threadIdx.x == 0) {
#pragma unroll
    for (int i = 0; i < kSize * kSize; ++i) square[i] = sums[i];
  }
  __syncthreads();
  for (int i = threadIdx.x; i < 4 * s.synapses; i += kThreads) {
    const DeviceTap<Dtype>& tap = taps[i / 4];
    if (!IsIn(tap, i % 4, top, left, kSize)) continue;
    SumsOf(c, i / 4)[i % 4] = square[(tap.row + i % 4 / 2 - top) * kSize + tap.column + i % 2 - left];
  }
  __syncthreads();
}

// All squares of the box.
template <int kSize, typename Dtype>
__device__ void CorrelateBox(const DepthwiseShape& s, const DeviceTap<Dtype>* taps, const Correlation<Dtype>& c,
                             const Box& box, Dtype* tile) {
  for (int row = 0; row < box.rows; row += kSize) {
    for (int column = 0; column < box.columns; column += kSize) {
      CorrelateSquare<kSize>(s, taps, c, box.top + row, box.left + column, tile);
    }
  }
}

// Synapses too far apart, or planes too wide, for tiles: one synapse after the other.
template <typename Dtype>
__device__ void CorrelateFar(const DepthwiseShape& s, const DeviceTap<Dtype>* taps, const Correlation<Dtype>& c) {
  const SamplingGeometry& g = s.geometry;
  const int out_size = g.out_height * g.out_width;
  for (int k = 0; k < s.synapses; ++k) {
    const DeviceTap<Dtype> tap = taps[k];
    Dtype sums[4] = {0, 0, 0, 0};
    for (int i = threadIdx.x; i < c.images * out_size; i += kThreads) {
      const int image = i / out_size, pixel = i % out_size;
      const Dtype* input = c.input + static_cast<size_t>(image) * s.channels * g.height * g.width;
      const Neighbours<Dtype> q(input, g, pixel / g.out_width * g.stride_h + tap.row,
                                pixel % g.out_width * g.stride_w + tap.column);
      const size_t output_step = static_cast<size_t>(s.channels) * s.multiplier * out_size;
      const Dtype gradient = c.output_gradient[image * output_step + pixel];
      sums[0] += gradient * q.q11;
      sums[1] += gradient * q.q21;
      sums[2] += gradient * q.q12;
      sums[3] += gradient * q.q22;
    }
    BlockSums<kThreads>(sums);
    if (threadIdx.x == 0 && tap.visible) {
      for (int q = 0; q < 4; ++q) SumsOf(c, k)[q] = sums[q];
    }
  }
}

template <typename Dtype>
__global__ void __launch_bounds__(kThreads)
CorrelationKernel(const DepthwiseShape s, const Dtype* input, const Dtype* output_gradient,
                  const DevicePositions<Dtype> positions, int images_per_block, Dtype* sums) {
  __shared__ Dtype tile[kTileValues<Dtype>];
  DeviceTap<Dtype>* taps = DynamicShared<DeviceTap<Dtype>>();
  const SamplingGeometry& g = s.geometry;
  const size_t first = static_cast<size_t>(blockIdx.x) * images_per_block;
  for (int channel = blockIdx.y; channel < s.channels; channel += gridDim.y) {
    const Box box = LoadChannel(s, positions, channel, taps);
    // Strips of 8 rows must fit, with the largest square; see CorrelateSquare.
    const bool tiled = box.is_small() && (2 * kStripRows - 1) * 2 *
        (min((g.out_width - 1) * g.stride_w + 1, kTileColumns) + kStripRows - 1) <= kTileValues<Dtype>;
    for (int m = 0; m < s.multiplier; ++m) {
      const size_t output = static_cast<size_t>(channel) * s.multiplier + m;
      const Correlation<Dtype> c = {
          input + (first * s.channels + channel) * g.height * g.width,
          output_gradient + (first * s.channels * s.multiplier + output) * g.out_height * g.out_width,
          sums + 4 * (output * s.synapses * gridDim.x + blockIdx.x),
          min(images_per_block, s.images - static_cast<int>(first))};
      for (int i = threadIdx.x; i < 4 * s.synapses; i += kThreads) {
        if (!taps[i / 4].visible) SumsOf(c, i / 4)[i % 4] = 0;
      }
      const int extent = max(box.rows, box.columns);
      if (!tiled) {
        CorrelateFar(s, taps, c);
      } else if (extent <= 4) {
        CorrelateBox<4>(s, taps, c, box, tile);
      } else if (extent <= 6) {
        CorrelateBox<6>(s, taps, c, box, tile);
      } else {
        CorrelateBox<8>(s, taps, c, box, tile);
      }
    }
  }
}

template <typename Dtype>
__global__ void GradientsKernel(const DepthwiseShape s, int parts, const Dtype* correlations, const Dtype* weight,
                                const DevicePositions<Dtype> positions, Dtype* weight_gradient, Dtype* contributions) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= s.channels * s.multiplier * s.synapses) return;
  const int channel = i / s.synapses / s.multiplier;
  const DeviceTap<Dtype> tap = MakeTap(positions, s.geometry, SetOf(s, channel), s.synapses, i % s.synapses);
  double q[4] = {0, 0, 0, 0};  // of Q11, Q21, Q12, Q22
  const Dtype* correlation = correlations + 4 * static_cast<size_t>(i) * parts;
  for (int part = 0; part < parts; ++part, correlation += 4) {
    for (int j = 0; j < 4; ++j) q[j] += correlation[j];
  }
  if (weight_gradient) {
    double sum = 0;
    for (int j = 0; j < 4; ++j) {
      const double share = tap.row_weight(j / 2) * tap.column_weight(j % 2);
      if (share != 0) sum += share * q[j];
    }
    weight_gradient[i] += static_cast<Dtype>(sum);
  }
  if (contributions) {
    contributions[2 * i] = static_cast<Dtype>(weight[i] * ((1 - tap.b) * (q[1] - q[0]) + tap.b * (q[3] - q[2])));
    contributions[2 * i + 1] = static_cast<Dtype>(weight[i] * ((1 - tap.a) * (q[2] - q[0]) + tap.a * (q[3] - q[1])));
  }
}

int CorrelationImages(const DepthwiseShape& shape) {
  const SamplingGeometry& g = shape.geometry;
  return ImagesPerBlock(shape, (g.out_height - 1) * g.stride_h + 1, (g.out_width - 1) * g.stride_w + 1, kThreads,
                        kBlocks);
}

}  // namespace

int CorrelationParts(const DepthwiseShape& shape) { return DivideUp(shape.images, CorrelationImages(shape)); }

template <typename Dtype>
void DepthwiseCorrelations(const DepthwiseShape& shape, const Dtype* input, const Dtype* output_gradient,
                           const DevicePositions<Dtype>& positions, Dtype* correlations) {
  const dim3 grid(CorrelationParts(shape), std::min(shape.channels, kMostGridRows));
  CorrelationKernel<<<grid, kThreads, TapBytes<Dtype>(shape.synapses)>>>(
      shape, input, output_gradient, positions, CorrelationImages(shape), correlations);
  CUDA_POST_KERNEL_CHECK;
}

template <typename Dtype>
void DepthwiseGradients(const DepthwiseShape& shape, const Dtype* correlations, const Dtype* weight,
                        const DevicePositions<Dtype>& positions, Dtype* weight_gradient, Dtype* contributions) {
  GradientsKernel<<<DivideUp(shape.outputs() * shape.synapses, kFinishThreads), kFinishThreads>>>(
      shape, CorrelationParts(shape), correlations, weight, positions, weight_gradient, contributions);
  CUDA_POST_KERNEL_CHECK;
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                            \
  template void DepthwiseCorrelations(const DepthwiseShape&, const Dtype*, const Dtype*,                        \
                                      const DevicePositions<Dtype>&, Dtype*);                                   \
  template void DepthwiseGradients(const DepthwiseShape&, const Dtype*, const Dtype*,                           \
                                   const DevicePositions<Dtype>&, Dtype*, Dtype*)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
