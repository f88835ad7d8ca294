// Depthwise kernels work on tiles of planes in shared memory and on the synapses of a channel as one sparse
// kernel (Theorem 2): what both have in common.
#ifndef CAFFE_ACU_GPU_PLANE_TILES_CUH_
#define CAFFE_ACU_GPU_PLANE_TILES_CUH_

#include <algorithm>

#include "caffe_acu/gpu/depthwise_kernels.hpp"
#include "caffe_acu/gpu/launch.cuh"
#include "caffe_acu/gpu/taps.cuh"

namespace caffe {

constexpr int kTileBytes = 20 << 10;  // of planes in shared memory, which several blocks have to share
constexpr int kTileColumns = 128;     // outputs of a tile along a row, at most
constexpr int kStripRows = 8;         // outputs of a thread, one below the other
constexpr int kMostBox = 24;          // rows and columns of the box around the synapses, for tiles to be used

template <typename Dtype>
constexpr int kTileValues = kTileBytes / sizeof(Dtype);

/// The box of pixels around the neighbours of all visible synapses; the first at (top, left).
struct Box {
  int top, left, rows, columns;

  __device__ bool is_small() const { return rows <= kMostBox && columns <= kMostBox; }
};

/// A channel's synapses in shared memory, and their box. All threads must call it, and may read when it returns.
template <typename Dtype>
__device__ Box LoadChannel(const DepthwiseShape& s, const DevicePositions<Dtype>& positions, int channel,
                           DeviceTap<Dtype>* taps) {
  __shared__ Box box;
  LoadTaps(s, positions, channel, taps);
  if (threadIdx.x == 0) {
    int top = 0, left = 0, bottom = 0, right = 0;
    bool any = false;
    for (int k = 0; k < s.synapses; ++k) {
      if (!taps[k].visible) continue;
      top = any ? min(top, taps[k].row) : taps[k].row;
      left = any ? min(left, taps[k].column) : taps[k].column;
      bottom = any ? max(bottom, taps[k].row + 1) : taps[k].row + 1;
      right = any ? max(right, taps[k].column + 1) : taps[k].column + 1;
      any = true;
    }
    box = {top, left, bottom - top + 1, right - left + 1};
  }
  __syncthreads();
  return box;
}

/// A plane as a tile sees it: with `step` - 1 zeros between neighbours, as what a stride skipped, and zeros
/// around it.
template <typename Dtype>
struct SpreadPlane {
  const Dtype* values;
  int height, width;  // of the values
  int step_h, step_w;

  __device__ Dtype at(int row, int column) const {
    if (row < 0 || column < 0) return 0;
    if (step_h > 1 || step_w > 1) {
      if (row % step_h != 0 || column % step_w != 0) return 0;
      row /= step_h;
      column /= step_w;
    }
    return row < height && column < width ? __ldg(values + row * width + column) : Dtype(0);
  }
};

/// Copies rows x columns values from (top, left) of a plane; consecutive threads, consecutive values.
template <typename Dtype>
__device__ void LoadTile(const SpreadPlane<Dtype>& plane, int top, int left, int rows, int columns, Dtype* tile) {
  int row = threadIdx.x / columns, column = threadIdx.x % columns;
  const int row_step = blockDim.x / columns, column_step = blockDim.x % columns;
  for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) {
    tile[i] = plane.at(top + row, left + column);
    row += row_step;
    column += column_step;
    if (column >= columns) {
      column -= columns;
      ++row;
    }
  }
}

/// How many strips of a plane and how many images a tile takes.
struct TileSize {
  int strips, images;
  bool fits;
};

/// `values` of a tile; `row_values` of them per row of an image, `extra` rows beyond those of the strips, which are
/// kStripRows * stride apart; `columns` threads side by side for a strip.
__device__ inline TileSize FitTile(int values, int row_values, int extra, int stride, int plane_strips, int columns,
                                   int images) {
  const int rows = values / row_values;
  const int strips = min(plane_strips, (rows - extra) / (kStripRows * stride));
  if (strips < 1) return {0, 0, false};
  if (strips < plane_strips) return {strips, 1, true};
  const int most = min(images, rows / (strips * kStripRows * stride + extra));
  // Whole rounds of the block's threads, where there are images for more than one.
  const int units = strips * columns, threads = blockDim.x;
  const int rounds = most * units / threads;
  return {strips, rounds > 0 ? max(1, rounds * threads / units) : most, true};
}

/// Images of a channel for a block, whose planes have height x width values in strips: so many that there are about
/// `blocks` blocks, and at least a strip for each of their `threads`.
inline int ImagesPerBlock(const DepthwiseShape& shape, int height, int width, int threads, int blocks) {
  const int units = std::min(threads, DivideUp(height, kStripRows) * std::min(width, kTileColumns));
  const int images = std::max<long>(threads / units, static_cast<long>(shape.images) * shape.channels / blocks);
  return std::max(1, std::min(images, shape.images));
}

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_PLANE_TILES_CUH_
