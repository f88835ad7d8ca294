// The inner loops of sampling and of the way back. The grid is worked on in strips one vector wide, from top
// to bottom. Where the lower neighbours of a row are the upper neighbours of the next (no vertical stride),
// they stay in registers.
#include "caffe_acu/sampling/taps.hpp"

#include "caffe_acu/util/lanes.hpp"

namespace caffe {
namespace {

template <typename T>
struct TapAddress {
  CAFFE_ACU_INLINE TapAddress(const Grid& grid, const Tap& tap)
      : right(tap.offset[Tap::Q21] - tap.offset[Tap::Q11]),
        down(tap.offset[Tap::Q12] - tap.offset[Tap::Q11]),
        rows_follow(down == grid.pitch),
        a(static_cast<T>(tap.a)), b(static_cast<T>(tap.b)),
        rest_a(static_cast<T>(1 - tap.a)), rest_b(static_cast<T>(1 - tap.b)) {}
  int right, down;   // from Q11 to Q21 and to Q12
  bool rows_follow;
  T a, b, rest_a, rest_b;
};

// x + t (y - x): additions and multiplications have units of their own, which this uses evenly.
template <typename V, typename T>
CAFFE_ACU_INLINE V Between(V x, V y, T t) {
  return x + t * (y - x);
}

// Equation 6 between two neighbours in a row; with kA = false the left one alone.
template <typename T, bool kA, int kBytes>
CAFFE_ACU_INLINE typename RowLanes<T, kBytes>::V Across(const TapAddress<T>& at, const T* p) {
  typedef RowLanes<T, kBytes> L;
  return kA ? Between(L::Load(p), L::Load(p + at.right), at.a) : L::Load(p);
}

// How many of a strip's lanes are to be stored: up to the end of the grid, since a row comes after the one
// whose vector writes over its beginning.
template <typename T, int kBytes>
CAFFE_ACU_INLINE void StoreInGrid(T* out, typename RowLanes<T, kBytes>::V v, int left) {
  typedef RowLanes<T, kBytes> L;
  if (left >= L::kCount) {
    L::Store(out, v);
  } else {
    for (int i = 0; i < left; ++i) out[i] = v[i];
  }
}

// kStrips strips of kBytes side by side, from column c. kA, kB: whether the fractions a and b are not 0. kWhole: the
// rows of the grid are whole vectors.
template <typename T, bool kA, bool kB, int kBytes, int kStrips, bool kWhole>
CAFFE_ACU_INLINE void SampleColumns(const Grid& grid, const TapAddress<T>& at, int c, const T* p, T* out) {
  typedef RowLanes<T, kBytes> L;
  int left = grid.rows * grid.columns - c;
  typename L::V upper[kStrips];
#pragma GCC unroll 4
  for (int s = 0; s < kStrips; ++s) upper[s] = Across<T, kA, kBytes>(at, p + s * L::kCount);
  for (int r = 0; r < grid.rows; ++r, p += grid.pitch, out += grid.columns, left -= grid.columns) {
#pragma GCC unroll 4
    for (int s = 0; s < kStrips; ++s) {
      const T* q = p + s * L::kCount;
      typename L::V value;
      if (!kB) {
        value = Across<T, kA, kBytes>(at, q);
      } else if (at.rows_follow) {
        const typename L::V lower = Across<T, kA, kBytes>(at, q + grid.pitch);
        value = Between(upper[s], lower, at.b);
        upper[s] = lower;
      } else {
        value = Between(Across<T, kA, kBytes>(at, q), Across<T, kA, kBytes>(at, q + at.down), at.b);
      }
      if (kWhole) {
        L::Store(out + s * L::kCount, value);
      } else {
        StoreInGrid<T, kBytes>(out, value, left);
      }
    }
  }
}

template <typename Level, typename T, bool kA, bool kB>
CAFFE_ACU_INLINE void SampleStrips(const Grid& grid, const TapAddress<T>& at, const T* slab, T* out) {
  constexpr int kLanes = RowLanes<T>::kCount;
  constexpr int kWideBytes = Level::kVectorBytes > 32 ? Level::kVectorBytes : 32;
  constexpr int kWide = RowLanes<T, kWideBytes>::kCount;
  if (grid.columns % kLanes == 0) {
    int c = 0;
    for (; c + 2 * kWide <= grid.columns; c += 2 * kWide) {
      SampleColumns<T, kA, kB, kWideBytes, 2, true>(grid, at, c, slab + c, out + c);
    }
    for (; c + 2 * kLanes <= grid.columns; c += 2 * kLanes) {
      SampleColumns<T, kA, kB, 32, 2, true>(grid, at, c, slab + c, out + c);
    }
    if (c < grid.columns) SampleColumns<T, kA, kB, 32, 1, true>(grid, at, c, slab + c, out + c);
    return;
  }
  // From right to left: a vector may write over the beginning of the next row, whose strip comes afterwards.
  for (int c = (grid.columns - 1) / kLanes * kLanes; c >= 0; c -= kLanes) {
    SampleColumns<T, kA, kB, 32, 1, false>(grid, at, c, slab + c, out + c);
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SampleTap(const Grid& grid, const Tap& tap, const T* slab, T* out) {
  if (!tap.visible) {
    for (int i = 0; i < grid.rows * grid.columns; ++i) out[i] = 0;
    return;
  }
  const TapAddress<T> at(grid, tap);
  const T* from = slab + tap.offset[Tap::Q11];
  if (at.a == 0 && at.b == 0) {
    SampleStrips<Level, T, false, false>(grid, at, from, out);
  } else if (at.b == 0) {
    SampleStrips<Level, T, true, false>(grid, at, from, out);
  } else if (at.a == 0) {
    SampleStrips<Level, T, false, true>(grid, at, from, out);
  } else {
    SampleStrips<Level, T, true, true>(grid, at, from, out);
  }
}

// One side at a time, and all strips of it, so that no vector is read again right after a part of it was
// written.
template <typename T>
CAFFE_ACU_INLINE void ScatterTap(const Grid& grid, const Tap& tap, const T* gradient, T* slab) {
  typedef RowLanes<T> L;
  typedef typename L::V V;
  const TapAddress<T> at(grid, tap);
  for (int side = 0; side < 2; ++side) {
    const T weight = side ? at.a : at.rest_a;
    if (weight == 0) continue;
    const T upper_weight = weight * at.rest_b, lower_weight = weight * at.b;
    for (int c = 0; c < grid.columns; c += L::kCount) {
      const typename L::Mask mask = L::First(grid.columns - c);
      const T* g = gradient + c;
      T* p = slab + tap.offset[Tap::Q11] + side * at.right + c;
      V above = {};
      for (int r = 0; r < grid.rows; ++r, g += grid.columns, p += grid.pitch) {
        const V value = L::And(L::Load(g), mask);
        if (at.rows_follow) {
          L::Store(p, L::Load(p) + (upper_weight * value + lower_weight * above));
          above = value;
        } else {
          L::Store(p, L::Load(p) + upper_weight * value);
        }
      }
      if (at.rows_follow && lower_weight != 0) L::Store(p, L::Load(p) + lower_weight * above);
    }
    if (at.rows_follow || lower_weight == 0) continue;
    for (int c = 0; c < grid.columns; c += L::kCount) {
      const typename L::Mask mask = L::First(grid.columns - c);
      const T* g = gradient + c;
      T* p = slab + tap.offset[Tap::Q12] + side * at.right + c;
      for (int r = 0; r < grid.rows; ++r, g += grid.columns, p += grid.pitch) {
        L::Store(p, L::Load(p) + lower_weight * L::And(L::Load(g), mask));
      }
    }
  }
}

// With kSample, which needs whole vectors, the gradient is overwritten with the samples in the same pass.
template <typename T, bool kSample>
CAFFE_ACU_INLINE void SumTap(const Grid& grid, const Tap& tap, const T* slab, T* gradient, double* positions) {
  typedef RowLanes<T> L;
  typedef typename L::V V;
  const TapAddress<T> at(grid, tap);
  V horizontal = {}, vertical = {}, mixed = {};
  for (int c = 0; c < grid.columns; c += L::kCount) {
    const typename L::Mask mask = L::First(grid.columns - c);
    const T* p = slab + tap.offset[Tap::Q11] + c;
    T* g_row = gradient + c;
    V west = L::Load(p), east = L::Load(p + at.right);
    for (int r = 0; r < grid.rows; ++r, p += grid.pitch, g_row += grid.columns) {
      const V lower_west = L::Load(p + at.down), lower_east = L::Load(p + at.right + at.down);
      V g = L::Load(g_row), across = east - west, down = lower_west - west;
      V twist = (lower_east - lower_west) - across;
      if (!kSample) {  // 0 times what stands beyond the row might not be 0
        g = L::And(g, mask);
        across = L::And(across, mask);
        down = L::And(down, mask);
        twist = L::And(twist, mask);
      }
      horizontal += g * across;
      vertical += g * down;
      mixed += g * twist;
      if (kSample) {
        L::Store(g_row, Between(Between(west, east, at.a), Between(lower_west, lower_east, at.a), at.b));
      }
      if (at.rows_follow) {
        west = lower_west;
        east = lower_east;
      } else if (r + 1 < grid.rows) {
        west = L::Load(p + grid.pitch);
        east = L::Load(p + grid.pitch + at.right);
      }
    }
  }
  const double of_both = L::Sum(mixed);
  positions[0] += L::Sum(horizontal) + tap.b * of_both;
  positions[1] += L::Sum(vertical) + tap.a * of_both;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SampleTapsKernel(const Grid& grid, int K, const Tap* taps, const T* slab, T* rows,
                                       int row_pitch) {
  for (int k = 0; k < K; ++k) SampleTap<Level>(grid, taps[k], slab, rows + k * row_pitch);
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void BackwardTapsKernel(const Grid& grid, int K, const Tap* taps, T* rows, int row_pitch,
                                         const TapGradients<T>& gradients) {
  const bool whole_vectors = grid.columns % RowLanes<T>::kCount == 0;
  for (int k = 0; k < K; ++k, rows += row_pitch) {
    const Tap& tap = taps[k];
    if (gradients.slab_gradient && tap.visible) ScatterTap(grid, tap, rows, gradients.slab_gradient);
    if (gradients.positions && tap.visible) {
      // Not on a lattice line, where neighbours with weight 0 must have no influence.
      if (whole_vectors && gradients.samples && tap.a != 0 && tap.b != 0) {
        SumTap<T, true>(grid, tap, gradients.slab, rows, gradients.positions + 2 * k);
        continue;
      }
      SumTap<T, false>(grid, tap, gradients.slab, rows, gradients.positions + 2 * k);
    }
    if (gradients.samples) SampleTap<Level>(grid, tap, gradients.slab, rows);
  }
}

}  // namespace

#define CAFFE_ACU_TAPS(T)                                                                                    \
  CAFFE_ACU_MULTIARCH(T, SampleTaps,                                                                         \
                      (const Grid& grid, int K, const Tap* taps, const T* slab, T* rows, int row_pitch),     \
                      (grid, K, taps, slab, rows, row_pitch))                                                \
  CAFFE_ACU_MULTIARCH(T, BackwardTaps,                                                                       \
                      (const Grid& grid, int K, const Tap* taps, T* rows, int row_pitch,                     \
                       const TapGradients<T>& gradients),                                                    \
                      (grid, K, taps, rows, row_pitch, gradients))
CAFFE_ACU_TAPS(float)
CAFFE_ACU_TAPS(double)

}  // namespace caffe
