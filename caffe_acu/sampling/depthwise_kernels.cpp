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

// What a row is cut into: wide vectors, then, if 32 bytes do for the rest, a narrow one. Where the processor
// has none wider, both are the same.
template <typename Level, typename T>
struct Strips {
  static constexpr int kWideBytes = Level::kVectorBytes > 32 ? Level::kVectorBytes : 32;
  static constexpr int kWide = RowLanes<T, kWideBytes>::kCount, kNarrow = RowLanes<T>::kCount;

  CAFFE_ACU_INLINE explicit Strips(int columns) {
    const int rest = columns % kWide;
    narrow = rest > 0 && rest <= kNarrow;
    wide = columns / kWide + (rest > kNarrow);
  }
  int wide;     // vectors, the last of which may reach beyond the row
  bool narrow;  // whether one more follows
};

#define CAFFE_ACU_BY_ROWS(count, Function, ...)          \
  switch (count) {                                       \
    case 8: Function<Level, T, 8>(__VA_ARGS__); break;   \
    case 7: Function<Level, T, 7>(__VA_ARGS__); break;   \
    case 6: Function<Level, T, 6>(__VA_ARGS__); break;   \
    case 5: Function<Level, T, 5>(__VA_ARGS__); break;   \
    case 4: Function<Level, T, 4>(__VA_ARGS__); break;   \
    case 3: Function<Level, T, 3>(__VA_ARGS__); break;   \
    case 2: Function<Level, T, 2>(__VA_ARGS__); break;   \
    default: Function<Level, T, 1>(__VA_ARGS__); break;  \
  }

template <typename T, int kBytes, int kRows>
CAFFE_ACU_INLINE void SumTapsOfStrip(const Grid& grid, int row, int c, int taps, const int* offset,
                                     const T* coefficient, const T* slab, T start, T* out) {
  typedef RowLanes<T, kBytes> L;
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
  // Beyond the grid, other data stands.
  const int size = grid.rows * grid.columns;
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    const int at = (row + r) * grid.columns + c;
    if (size - at >= L::kCount) {
      L::Store(out + at, sum[r]);
    } else {
      for (int i = 0; i < size - at; ++i) out[at + i] = sum[r][i];
    }
  }
}

// From right to left: a vector may write over the beginning of the next row, which comes afterwards.
template <typename Level, typename T, int kRows>
CAFFE_ACU_INLINE void SumTapsOfRows(const Grid& grid, int row, int taps, const int* offset, const T* coefficient,
                                    const T* slab, T start, T* out) {
  typedef Strips<Level, T> S;
  const S strips(grid.columns);
  if (strips.narrow) {
    SumTapsOfStrip<T, 32, kRows>(grid, row, strips.wide * S::kWide, taps, offset, coefficient, slab, start, out);
  }
  for (int strip = strips.wide - 1; strip >= 0; --strip) {
    SumTapsOfStrip<T, S::kWideBytes, kRows>(grid, row, strip * S::kWide, taps, offset, coefficient, slab, start, out);
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

template <typename T, int kBytes, int kRows, bool kMasked>
CAFFE_ACU_INLINE void CorrelateTapsOfStrip(const Grid& grid, int row, int c, int taps, const int* offset,
                                           const T* slab, const T* gradient, int gradient_pitch, T* sums) {
  typedef RowLanes<T, kBytes> L;
  typedef RowLanes<T> Narrow;
  const typename L::Mask mask = L::First(grid.columns - c);
  typename L::V g[kRows];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
    g[r] = L::Load(gradient + (row + r) * gradient_pitch + c);
    if (kMasked) g[r] = L::And(g[r], mask);
  }
  const T* base = slab + row * grid.pitch + c;
  for (int t = 0; t < taps; ++t, sums += Narrow::kCount) {
    const T* in = base + offset[t];
    typename L::V even = {}, odd = {};
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
      typename L::V x = L::Load(in + r * grid.pitch);
      if (kMasked) x = L::And(x, mask);  // 0 times infinity would not be 0
      if (r % 2 == 0) even += g[r] * x;
      else odd += g[r] * x;
    }
    // The sum of a tap is kept in 32 bytes.
    const typename L::V all = even + odd;
    typename Narrow::V part, sum = Narrow::Load(sums);
#pragma GCC unroll 2
    for (int half = 0; half < L::kCount / Narrow::kCount; ++half) {
      __builtin_memcpy(&part, reinterpret_cast<const char*>(&all) + 32 * half, 32);
      sum += part;
    }
    Narrow::Store(sums, sum);
  }
}

template <typename Level, typename T, int kRows>
CAFFE_ACU_INLINE void CorrelateRows(const Grid& grid, int row, int taps, const int* offset, const T* slab,
                                    const T* gradient, int gradient_pitch, T* sums) {
  typedef Strips<Level, T> S;
  const S strips(grid.columns);
  for (int strip = 0; strip < strips.wide; ++strip) {
    if ((strip + 1) * S::kWide <= grid.columns) {
      CorrelateTapsOfStrip<T, S::kWideBytes, kRows, false>(grid, row, strip * S::kWide, taps, offset, slab, gradient,
                                                           gradient_pitch, sums);
    } else {
      CorrelateTapsOfStrip<T, S::kWideBytes, kRows, true>(grid, row, strip * S::kWide, taps, offset, slab, gradient,
                                                          gradient_pitch, sums);
    }
  }
  if (strips.narrow) {
    CorrelateTapsOfStrip<T, 32, kRows, true>(grid, row, strips.wide * S::kWide, taps, offset, slab, gradient,
                                             gradient_pitch, sums);
  }
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
