#include "caffe_acu/linear/tile_product.hpp"

#include "caffe_acu/util/lanes.hpp"

namespace caffe {
namespace {

// The narrowest vector that is used: columns are padded to it.
constexpr int kNarrowBytes = 32;

// Rows of C are taken this many at a time, as many as registers allow, then fewer. The order of panels
// must be the same for all levels of processors that use one packing, so it depends on the level.
template <typename Level>
constexpr int kMostRows = Level::kRegisters == 32 ? 12 : 6;

CAFFE_ACU_INLINE int NextRows(int most, int left) {
  if (left >= most) return most;
  if (left >= 8) return 8;
  if (left >= 4) return 4;
  return left >= 2 ? 2 : 1;
}

// C (kRows, kVectors) (+)= A B, with C held in registers. A(i, k) = a[i * kARow + k * a_step].
template <typename T, int kBytes, int kRows, int kVectors, int kARow>
CAFFE_ACU_INLINE void Tile(int depth, const T* a, int a_step, const T* b, int b_pitch, T* c, int c_pitch, bool add) {
  typedef typename Vector<T, kBytes>::type V;
  typedef typename Vector<T, kBytes>::unaligned U;
  constexpr int kLanes = Vector<T, kBytes>::kLanes;
  V sums[kRows][kVectors];
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) sums[i][v] = V{};
  }
  for (int k = 0; k < depth; ++k, a += a_step, b += b_pitch) {
    V row[kVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) row[v] = *reinterpret_cast<const U*>(b + v * kLanes);
#pragma GCC unroll 12
    for (int i = 0; i < kRows; ++i) {
      const T value = a[i * kARow];
#pragma GCC unroll 2
      for (int v = 0; v < kVectors; ++v) sums[i][v] += value * row[v];
    }
  }
#pragma GCC unroll 12
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 2
    for (int v = 0; v < kVectors; ++v) {
      U* out = reinterpret_cast<U*>(c + i * c_pitch + v * kLanes);
      *out = add ? *out + sums[i][v] : sums[i][v];
    }
  }
}

// All columns of kRows rows.
template <typename Level, typename T, int kRows, int kARow>
CAFFE_ACU_INLINE void RowsOfTiles(int columns, int depth, const T* a, int a_step, const T* b, int b_pitch, T* c,
                                  int c_pitch, bool add) {
  constexpr int kBytes = Level::kVectorBytes, kLanes = Vector<T, kBytes>::kLanes;
  constexpr int kNarrow = Vector<T, kNarrowBytes>::kLanes;
  int column = 0;
  for (; columns - column > kLanes; column += 2 * kLanes) {
    if (kLanes > kNarrow && columns - column <= kLanes + kNarrow) break;  // a narrow vector does for the rest
    Tile<T, kBytes, kRows, 2, kARow>(depth, a, a_step, b + column, b_pitch, c + column, c_pitch, add);
  }
  if (kLanes > kNarrow && columns - column > kNarrow) {
    Tile<T, kBytes, kRows, 1, kARow>(depth, a, a_step, b + column, b_pitch, c + column, c_pitch, add);
    column += kLanes;
  }
  for (; column < columns; column += kNarrow) {
    Tile<T, kNarrowBytes, kRows, 1, kARow>(depth, a, a_step, b + column, b_pitch, c + column, c_pitch, add);
  }
}

template <typename Level, typename T, int kARow>
CAFFE_ACU_INLINE void Product(int rows, int columns, int depth, const T* a, const T* b, int b_pitch, T* c, int c_pitch,
                              bool add) {
  constexpr int kMost = kMostRows<Level>;
  for (int row = 0; row < rows;) {
    const int count = NextRows(kMost, rows - row);
    // In a panel, the rows' values of one depth are neighbours.
    const T* a_rows = a + static_cast<long>(row) * (kARow == 1 ? depth : kARow);
    const int a_step = kARow == 1 ? count : 1;
    T* c_rows = c + static_cast<long>(row) * c_pitch;
#define CAFFE_ACU_ROWS(n)                                                                                     \
  case n:                                                                                                     \
    RowsOfTiles<Level, T, n, kARow>(columns, depth, a_rows, a_step, b, b_pitch, c_rows, c_pitch, add); \
    break
    switch (count) {
      CAFFE_ACU_ROWS(kMost);
      CAFFE_ACU_ROWS(kMost == 12 ? 8 : 3);  // 3 never occurs
      CAFFE_ACU_ROWS(4);
      CAFFE_ACU_ROWS(2);
      CAFFE_ACU_ROWS(1);
    }
#undef CAFFE_ACU_ROWS
    row += count;
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void PackPanelsKernel(int rows, int depth, const T* a, int row_step, int depth_step, T* panels) {
  for (int row = 0; row < rows;) {
    const int count = NextRows(kMostRows<Level>, rows - row);
    for (int k = 0; k < depth; ++k) {
      for (int i = 0; i < count; ++i) *panels++ = a[(row + i) * row_step + k * depth_step];
    }
    row += count;
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void PanelProductKernel(int rows, int columns, int depth, const T* panels, const T* b, int b_pitch,
                                         T* c, int c_pitch, bool add) {
  Product<Level, T, 1>(rows, columns, depth, panels, b, b_pitch, c, c_pitch, add);
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void RowProductKernel(int rows, int columns, int depth, const T* a, const T* b, int b_pitch, T* c,
                                       int c_pitch) {
  Product<Level, T, kRowPitch>(rows, columns, depth, a, b, b_pitch, c, c_pitch, true);
}

// A square block in registers: log2(kLanes) rounds of exchanging halves between rows.
template <typename T>
CAFFE_ACU_INLINE void TransposeBlock(const T* a, int a_pitch, T* b, int b_pitch) {
  typedef RowLanes<T> L;
  constexpr int kLanes = L::kCount;
  typename L::V rows[kLanes];
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) rows[i] = L::Load(a + static_cast<long>(i) * a_pitch);
#pragma GCC unroll 3
  for (int half = kLanes / 2; half > 0; half /= 2) {
    typename L::Mask low, high;  // lanes to take of a pair of rows, numbered through both
#pragma GCC unroll 8
    for (int lane = 0; lane < kLanes; ++lane) {
      low[lane] = lane & half ? lane - half + kLanes : lane;
      high[lane] = lane & half ? lane + kLanes : lane + half;
    }
#pragma GCC unroll 8
    for (int i = 0; i < kLanes; ++i) {
      if (i & half) continue;
      const typename L::V upper = rows[i], lower = rows[i + half];
      rows[i] = L::Pick(upper, lower, low);
      rows[i + half] = L::Pick(upper, lower, high);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kLanes; ++i) L::Store(b + static_cast<long>(i) * b_pitch, rows[i]);
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void TransposeKernel(int rows, int columns, const T* a, int a_pitch, T* b, int b_pitch) {
  constexpr int kLanes = RowLanes<T>::kCount;
  const int whole_rows = rows / kLanes * kLanes, whole_columns = columns / kLanes * kLanes;
  for (int row = 0; row < whole_rows; row += kLanes) {
    for (int column = 0; column < whole_columns; column += kLanes) {
      TransposeBlock(a + static_cast<long>(row) * a_pitch + column, a_pitch,
                     b + static_cast<long>(column) * b_pitch + row, b_pitch);
    }
  }
  for (int row = 0; row < rows; ++row) {
    for (int column = row < whole_rows ? whole_columns : 0; column < columns; ++column) {
      b[static_cast<long>(column) * b_pitch + row] = a[static_cast<long>(row) * a_pitch + column];
    }
  }
}

}  // namespace

template <typename T>
int PaddedColumns(int columns) {
  constexpr int kNarrow = Vector<T, kNarrowBytes>::kLanes;
  return (columns + kNarrow - 1) / kNarrow * kNarrow;
}
template int PaddedColumns<float>(int);
template int PaddedColumns<double>(int);

#define CAFFE_ACU_PRODUCTS(T)                                                                                     \
  CAFFE_ACU_MULTIARCH(T, PackPanels, (int rows, int depth, const T* a, int row_step, int depth_step, T* panels), \
                      (rows, depth, a, row_step, depth_step, panels))                                             \
  CAFFE_ACU_MULTIARCH(T, PanelProduct,                                                                            \
                      (int rows, int columns, int depth, const T* panels, const T* b, int b_pitch, T* c,         \
                       int c_pitch, bool add),                                                                    \
                      (rows, columns, depth, panels, b, b_pitch, c, c_pitch, add))                                \
  CAFFE_ACU_MULTIARCH(T, Transpose, (int rows, int columns, const T* a, int a_pitch, T* b, int b_pitch),         \
                      (rows, columns, a, a_pitch, b, b_pitch))                                                    \
  CAFFE_ACU_MULTIARCH(T, RowProduct,                                                                              \
                      (int rows, int columns, int depth, const T* a, const T* b, int b_pitch, T* c, int c_pitch), \
                      (rows, columns, depth, a, b, b_pitch, c, c_pitch))
CAFFE_ACU_PRODUCTS(float)
CAFFE_ACU_PRODUCTS(double)

}  // namespace caffe
