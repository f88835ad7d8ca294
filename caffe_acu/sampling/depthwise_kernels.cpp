// The inner loops of depthwise convolutions: a block of rows in registers, a tap after the other.
#include "caffe_acu/sampling/depthwise_kernels.hpp"

#include "caffe_acu/util/lanes.hpp"

namespace caffe {
namespace {

// Rows in registers at once. Additions to one of them wait for each other, so blocks are as equal as can be:
// 14 rows are 7 and 7, not 8 and 6.
constexpr int kMostRows = 8;

CAFFE_ACU_INLINE int RowsOfBlock(int rows, int row) {
  const int blocks = (rows - row + kMostRows - 1) / kMostRows;
  return (rows - row + blocks - 1) / blocks;
}

#define CAFFE_ACU_BY_ROWS(count, Function, ...)   \
  switch (count) {                                \
    case 8: Function<T, 8>(__VA_ARGS__); break;   \
    case 7: Function<T, 7>(__VA_ARGS__); break;   \
    case 6: Function<T, 6>(__VA_ARGS__); break;   \
    case 5: Function<T, 5>(__VA_ARGS__); break;   \
    case 4: Function<T, 4>(__VA_ARGS__); break;   \
    case 3: Function<T, 3>(__VA_ARGS__); break;   \
    case 2: Function<T, 2>(__VA_ARGS__); break;   \
    default: Function<T, 1>(__VA_ARGS__); break;  \
  }

// A vector of the last row may not reach beyond the grid, where other data stands.
template <typename T>
CAFFE_ACU_INLINE void StoreUpTo(T* out, typename RowLanes<T>::V v, int count) {
  typedef RowLanes<T> L;
  if (count >= L::kCount) {
    L::Store(out, v);
  } else {
    for (int i = 0; i < count; ++i) out[i] = v[i];
  }
}

template <typename T, int kRows>
CAFFE_ACU_INLINE void SumTapsOfRows(const Grid& grid, int row, int taps, const int* offset, const T* coefficient,
                                    const T* slab, T start, T* out) {
  typedef RowLanes<T> L;
  const int size = grid.rows * grid.columns;
  // From right to left: a vector may write over the beginning of the next row, which comes afterwards.
  for (int c = (grid.columns - 1) / L::kCount * L::kCount; c >= 0; c -= L::kCount) {
    typename L::V sum[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sum[r] = typename L::V{} + start;
    const T* base = slab + row * grid.pitch + c;
    for (int t = 0; t < taps; ++t) {
      const T* in = base + offset[t];
      const T w = coefficient[t];
#pragma GCC unroll 8
      for (int r = 0; r < kRows; ++r) sum[r] += w * L::Load(in + r * grid.pitch);
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      const int at = (row + r) * grid.columns + c;
      StoreUpTo(out + at, sum[r], size - at);
    }
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumTapsKernel(const Grid& grid, int taps, const int* offset, const T* coefficient,
                                    const T* slab, T start, T* out) {
  for (int row = 0, count; row < grid.rows; row += count) {
    count = RowsOfBlock(grid.rows, row);
    CAFFE_ACU_BY_ROWS(count, SumTapsOfRows, grid, row, taps, offset, coefficient, slab, start, out)
  }
}

template <typename T, int kRows, bool kMasked>
CAFFE_ACU_INLINE void CorrelateTapsOfRows(const Grid& grid, int row, int c, int taps, const int* offset,
                                          const T* slab, const T* gradient, int gradient_pitch, T* sums) {
  typedef RowLanes<T> L;
  const typename L::Mask mask = L::First(grid.columns - c);
  typename L::V g[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    g[r] = L::Load(gradient + (row + r) * gradient_pitch + c);
    if (kMasked) g[r] = L::And(g[r], mask);
  }
  const T* base = slab + row * grid.pitch + c;
  for (int t = 0; t < taps; ++t, sums += L::kCount) {
    const T* in = base + offset[t];
    typename L::V even = L::Load(sums), odd = {};
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      typename L::V x = L::Load(in + r * grid.pitch);
      if (kMasked) x = L::And(x, mask);  // 0 times infinity would not be 0
      if (r % 2 == 0) even += g[r] * x;
      else odd += g[r] * x;
    }
    L::Store(sums, even + odd);
  }
}

template <typename T, int kRows>
CAFFE_ACU_INLINE void CorrelateRows(const Grid& grid, int row, int taps, const int* offset, const T* slab,
                                    const T* gradient, int gradient_pitch, T* sums) {
  constexpr int kLanes = RowLanes<T>::kCount;
  int c = 0;
  for (; c + kLanes <= grid.columns; c += kLanes) {
    CorrelateTapsOfRows<T, kRows, false>(grid, row, c, taps, offset, slab, gradient, gradient_pitch, sums);
  }
  if (c < grid.columns) CorrelateTapsOfRows<T, kRows, true>(grid, row, c, taps, offset, slab, gradient, gradient_pitch, sums);
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void CorrelateTapsKernel(const Grid& grid, int taps, const int* offset, const T* slab,
                                          const T* gradient, int gradient_pitch, T* sums) {
  for (int row = 0, count; row < grid.rows; row += count) {
    count = RowsOfBlock(grid.rows, row);
    CAFFE_ACU_BY_ROWS(count, CorrelateRows, grid, row, taps, offset, slab, gradient, gradient_pitch, sums)
  }
}

}  // namespace

#define CAFFE_ACU_DEPTHWISE(T)                                                                                  \
  CAFFE_ACU_MULTIARCH(T, SumTaps,                                                                               \
                      (const Grid& grid, int taps, const int* offset, const T* coefficient, const T* slab,     \
                       T start, T* out),                                                                        \
                      (grid, taps, offset, coefficient, slab, start, out))                                      \
  CAFFE_ACU_MULTIARCH(T, CorrelateTaps,                                                                         \
                      (const Grid& grid, int taps, const int* offset, const T* slab, const T* gradient,        \
                       int gradient_pitch, T* sums),                                                            \
                      (grid, taps, offset, slab, gradient, gradient_pitch, sums))
CAFFE_ACU_DEPTHWISE(float)
CAFFE_ACU_DEPTHWISE(double)

}  // namespace caffe
