// Synapses as kernels see them.
#ifndef CAFFE_ACU_GPU_TAPS_CUH_
#define CAFFE_ACU_GPU_TAPS_CUH_

#include "caffe/common.hpp"
#include "caffe_acu/gpu/positions.hpp"
#include "caffe_acu/sampling/plan.hpp"

namespace caffe {

/// A synapse: its first neighbour Q11 lies at input (m * stride_h + row, n * stride_w + column) of output
/// (m, n), the others a pixel further; the fractions weigh them (equation 7).
template <typename Dtype>
struct DeviceTap {
  int row, column;
  Dtype a, b;    // fractions of alpha and beta
  bool visible;  // false: all samples lie outside the image

  /// Weights of the neighbours; dr and dc are 0 or 1.
  __device__ Dtype row_weight(int dr) const { return dr ? b : 1 - b; }
  __device__ Dtype column_weight(int dc) const { return dc ? a : 1 - a; }
};

/// Shared memory for the taps of a set; 24 KiB, so that everything else fits as well.
template <typename Dtype>
size_t TapBytes(int synapses) {
  const size_t bytes = synapses * sizeof(DeviceTap<Dtype>);
  CHECK_LE(bytes, 24u << 10) << synapses << " synapses are more than the GPU's kernels take; the CPU takes any number";
  return bytes;
}

/// Integral part and fraction of a coordinate of a synapse, the base point's added; false if no output's
/// sample lies on the image. A coordinate that is not a number stays one, so that it shows in the output.
template <typename Dtype>
__device__ bool SplitCoordinate(Dtype displacement, int origin, int span, int size, int* whole, Dtype* fraction) {
  const Dtype floor_of = floor(displacement);
  *whole = origin;
  *fraction = displacement;
  if (displacement != displacement) return true;
  *fraction = 0;
  if (origin + floor_of + span + 1 < 0 || origin + floor_of > size - 1) return false;
  *whole = origin + static_cast<int>(floor_of);
  *fraction = displacement - floor_of;
  return true;
}

/// Synapse k of a position set.
template <typename Dtype>
__device__ DeviceTap<Dtype> MakeTap(const DevicePositions<Dtype>& p, const SamplingGeometry& g, int set, int synapses,
                                    int k) {
  const Dtype alpha = p.alpha ? p.alpha[set * synapses + k] : (k % p.kernel_w - p.kernel_w / 2) * p.dilation_w;
  const Dtype beta = p.beta ? p.beta[set * synapses + k] : (k / p.kernel_w - p.kernel_h / 2) * p.dilation_h;
  DeviceTap<Dtype> tap;
  const bool in_columns =
      SplitCoordinate(alpha, g.origin_w, (g.out_width - 1) * g.stride_w, g.width, &tap.column, &tap.a);
  const bool in_rows =
      SplitCoordinate(beta, g.origin_h, (g.out_height - 1) * g.stride_h, g.height, &tap.row, &tap.b);
  tap.visible = in_columns && in_rows;
  return tap;
}

/// The value of a plane at a pixel, 0 outside of it.
template <typename Dtype>
__device__ Dtype PixelOrZero(const Dtype* plane, const SamplingGeometry& g, int row, int column) {
  const bool inside = row >= 0 && row < g.height && column >= 0 && column < g.width;
  return inside ? __ldg(plane + row * g.width + column) : Dtype(0);
}

/// The four neighbours of a sample.
template <typename Dtype>
struct Neighbours {
  Dtype q11, q21, q12, q22;

  __device__ Neighbours(const Dtype* plane, const SamplingGeometry& g, int row, int column)
      : q11(PixelOrZero(plane, g, row, column)), q21(PixelOrZero(plane, g, row, column + 1)),
        q12(PixelOrZero(plane, g, row + 1, column)), q22(PixelOrZero(plane, g, row + 1, column + 1)) {}
};

/// Linear interpolation. A neighbour with weight 0 has no influence, not even if it is infinite, so that a
/// synapse on a lattice point gives exactly the input's value.
template <typename Dtype>
__device__ Dtype Between(Dtype first, Dtype second, Dtype fraction) {
  return fraction == 0 ? first : (1 - fraction) * first + fraction * second;
}

/// Bilinear sample (equation 6).
template <typename Dtype>
__device__ Dtype Interpolate(const DeviceTap<Dtype>& tap, Dtype q11, Dtype q21, Dtype q12, Dtype q22) {
  return Between(Between(q11, q21, tap.a), Between(q12, q22, tap.a), tap.b);
}

/// The position set of a channel. Shape is ColumnShape or DepthwiseShape.
template <typename Shape>
__device__ int SetOf(const Shape& s, int channel) {
  return static_cast<int>(static_cast<long>(channel) * s.sets / s.channels);
}

/// The taps of a channel's set, into shared memory; all threads must call it, and may read when it returns.
template <typename Shape, typename Dtype>
__device__ void LoadTaps(const Shape& s, const DevicePositions<Dtype>& positions, int channel, DeviceTap<Dtype>* taps) {
  const int set = SetOf(s, channel);
  __syncthreads();  // until nobody reads those of the channel before
  for (int k = threadIdx.x; k < s.synapses; k += blockDim.x) {
    taps[k] = MakeTap(positions, s.geometry, set, s.synapses, k);
  }
  __syncthreads();
}

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_TAPS_CUH_
