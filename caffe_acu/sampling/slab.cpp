// The inner loops of sampling, over rows of a slab.
#include "caffe_acu/sampling/slab.hpp"

#include <algorithm>

#include "caffe_acu/util/lanes.hpp"

namespace caffe {
namespace {

// Without memcpy and memset, whose calls cost more than these rows (the build keeps the compiler from
// putting them back).
template <typename T>
CAFFE_ACU_INLINE void CopyRow(const T* in, int count, T* out) {
  typedef RowLanes<T> L;
  if (count < L::kCount) {
    for (int i = 0; i < count; ++i) out[i] = in[i];
    return;
  }
  for (int i = 0; i < count - L::kCount; i += L::kCount) L::Store(out + i, L::Load(in + i));
  L::Store(out + count - L::kCount, L::Load(in + count - L::kCount));
}

template <typename T>
CAFFE_ACU_INLINE void AddRow(const T* in, int count, T* out) {
  typedef RowLanes<T> L;
  int i = 0;
  for (; i <= count - L::kCount; i += L::kCount) L::Store(out + i, L::Load(out + i) + L::Load(in + i));
  for (; i < count; ++i) out[i] += in[i];
}

template <typename T>
CAFFE_ACU_INLINE void ZeroRow(int count, T* out) {
  typedef RowLanes<T> L;
  int i = 0;
  for (; i <= count - L::kCount; i += L::kCount) L::Store(out + i, typename L::V{});
  for (; i < count; ++i) out[i] = 0;
}

// The rows i of the slab that lie on the image, and for a phase of the columns, which of them do.
struct Inside {
  int begin, end;
};
CAFFE_ACU_INLINE Inside InsideOf(int first, int count, int size) {
  const int begin = std::min(std::max(0, -first), count);
  return {begin, std::max(begin, std::min(count, size - first))};
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SpreadSlabKernel(const SlabShape& s, const T* plane, T* slab) {
  const Inside rows = InsideOf(s.row, s.rows, s.plane_height);
  const Inside columns = InsideOf(s.column, s.columns, s.plane_width);
  for (int i = 0; i < s.rows; ++i) {
    T* out = slab + (i % s.stride_h) * s.stride_w * s.phase_size + (i / s.stride_h) * s.pitch;
    const T* in = plane + static_cast<long>(s.row + i) * s.plane_width + s.column;
    const bool inside = i >= rows.begin && i < rows.end;
    if (!inside) {
      for (int phase = 0; phase < s.stride_w; ++phase) ZeroRow(s.pitch, out + phase * s.phase_size);
    } else if (s.stride_w == 1) {
      ZeroRow(columns.begin, out);
      CopyRow(in + columns.begin, columns.end - columns.begin, out + columns.begin);
      ZeroRow(s.pitch - columns.end, out + columns.end);
    } else {
      for (int phase = 0; phase < s.stride_w; ++phase, out += s.phase_size) {
        const int begin = (std::max(0, columns.begin - phase) + s.stride_w - 1) / s.stride_w;
        const int end = std::max(begin, (columns.end - phase + s.stride_w - 1) / s.stride_w);
        ZeroRow(begin, out);
        const T* from = in + phase;
        if (s.stride_w == 2) {  // a constant that the compiler turns into shuffles
#pragma omp simd
          for (int j = begin; j < end; ++j) out[j] = from[2 * j];
        } else {
          for (int j = begin; j < end; ++j) out[j] = from[s.stride_w * j];
        }
        ZeroRow(s.pitch - end, out + end);
      }
    }
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void GatherSlabKernel(const SlabShape& s, const T* slab, T* plane) {
  const Inside rows = InsideOf(s.row, s.rows, s.plane_height);
  const Inside columns = InsideOf(s.column, s.columns, s.plane_width);
  for (int i = rows.begin; i < rows.end; ++i) {
    const T* in = slab + (i % s.stride_h) * s.stride_w * s.phase_size + (i / s.stride_h) * s.pitch;
    T* out = plane + static_cast<long>(s.row + i) * s.plane_width + s.column;
    if (s.stride_w == 1) {
      AddRow(in + columns.begin, columns.end - columns.begin, out + columns.begin);
      continue;
    }
    for (int phase = 0; phase < s.stride_w; ++phase, in += s.phase_size) {
      const int begin = (std::max(0, columns.begin - phase) + s.stride_w - 1) / s.stride_w;
      const int end = (columns.end - phase + s.stride_w - 1) / s.stride_w;
      for (int j = begin; j < end; ++j) out[phase + s.stride_w * j] += in[j];
    }
  }
}

// `Of` gives the value at an offset, as a vector or a single one. Vectors may write over the next row,
// which comes afterwards, but not beyond the grid.
template <typename T, typename Of>
CAFFE_ACU_INLINE void FillGrid(const Grid& grid, T* out, const Of& of) {
  typedef RowLanes<T> L;
  int left = grid.rows * grid.columns;
  for (int r = 0; r < grid.rows; ++r, out += grid.columns, left -= grid.columns) {
    const int at = r * grid.pitch;
    int c = 0;
    for (; c < grid.columns && c + L::kCount <= left; c += L::kCount) L::Store(out + c, of.Lanes(at + c));
    for (; c < grid.columns; ++c) out[c] = of.One(at + c);
  }
}

template <typename T, int kCount>
struct WeightedSum {
  const T* p[4];
  T w[4];

  CAFFE_ACU_INLINE typename RowLanes<T>::V Lanes(int at) const {
    typedef RowLanes<T> L;
    if (kCount == 1) return w[0] * L::Load(p[0] + at);
    if (kCount == 2) return w[0] * L::Load(p[0] + at) + w[1] * L::Load(p[1] + at);
    return (w[0] * L::Load(p[0] + at) + w[1] * L::Load(p[1] + at)) +
           (w[2] * L::Load(p[2] + at) + w[3] * L::Load(p[3] + at));
  }
  CAFFE_ACU_INLINE T One(int at) const {
    if (kCount == 1) return w[0] * p[0][at];
    if (kCount == 2) return w[0] * p[0][at] + w[1] * p[1][at];
    return (w[0] * p[0][at] + w[1] * p[1][at]) + (w[2] * p[2][at] + w[3] * p[3][at]);
  }
};

template <typename Level, typename T>
CAFFE_ACU_INLINE void SampleGridKernel(const Grid& grid, const T* const q[4], const double weight[4], T* out) {
  // The weights that are not 0, with their neighbours: 1, 2 or 4 of them, 3 if one underflows.
  WeightedSum<T, 4> all = {{q[0], q[0], q[0], q[0]}, {0, 0, 0, 0}};
  int count = 0;
  for (int i = 0; i < 4; ++i) {
    if (weight[i] == 0) continue;
    all.p[count] = q[i];
    all.w[count++] = static_cast<T>(weight[i]);
  }
  if (count == 1) {
    FillGrid(grid, out, WeightedSum<T, 1>{{all.p[0]}, {all.w[0]}});
  } else if (count == 2) {
    FillGrid(grid, out, WeightedSum<T, 2>{{all.p[0], all.p[1]}, {all.w[0], all.w[1]}});
  } else {
    for (int i = count; i < 4; ++i) all.p[i] = all.p[0];
    FillGrid(grid, out, all);
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void ScatterGridKernel(const Grid& grid, const T* gradient, const double weight[4], T* const q[4]) {
  typedef RowLanes<T> L;
  const int whole = grid.columns / L::kCount * L::kCount;
  const typename L::Mask rest = L::First(grid.columns - whole);
  // A neighbour at a time, so that no vector is read again right after a part of it was written.
  for (int i = 0; i < 4; ++i) {
    if (weight[i] == 0) continue;
    const T w = static_cast<T>(weight[i]);
    const T* g = gradient;
    T* p = q[i];
    for (int r = 0; r < grid.rows; ++r, g += grid.columns, p += grid.pitch) {
      for (int c = 0; c < whole; c += L::kCount) L::Store(p + c, L::Load(p + c) + w * L::Load(g + c));
      if (whole < grid.columns) {
        L::Store(p + whole, L::Load(p + whole) + w * L::And(L::Load(g + whole), rest));
      }
    }
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumPositionsKernel(const Grid& grid, const T* gradient, const T* const q[4],
                                         PositionSums* sums) {
  typedef RowLanes<T> L;
  typedef typename L::V V;
  const int whole = grid.columns / L::kCount * L::kCount;
  const typename L::Mask rest = L::First(grid.columns - whole), all = L::First(L::kCount);
  V horizontal = {}, vertical = {}, mixed = {};
  for (int r = 0; r < grid.rows; ++r, gradient += grid.columns) {
    const int at = r * grid.pitch;
    for (int c = 0; c < grid.columns; c += L::kCount) {
      const typename L::Mask mask = c < whole ? all : rest;
      const V q11 = L::Load(q[0] + at + c), q21 = L::Load(q[1] + at + c);
      const V q12 = L::Load(q[2] + at + c), q22 = L::Load(q[3] + at + c);
      const V g = L::And(L::Load(gradient + c), mask);
      const V upper = L::And(q21 - q11, mask), down = L::And(q12 - q11, mask);
      horizontal += g * upper;
      vertical += g * down;
      mixed += g * (L::And(q22 - q12, mask) - upper);
    }
  }
  *sums = {L::Sum(horizontal), L::Sum(vertical), L::Sum(mixed)};
}

}  // namespace

#define CAFFE_ACU_SLABS(T)                                                                                          \
  CAFFE_ACU_MULTIARCH(T, SpreadSlab, (const SlabShape& shape, const T* plane, T* slab), (shape, plane, slab))      \
  CAFFE_ACU_MULTIARCH(T, GatherSlab, (const SlabShape& shape, const T* slab, T* plane), (shape, slab, plane))      \
  CAFFE_ACU_MULTIARCH(T, SampleGrid,                                                                                \
                      (const Grid& grid, const T* const q[4], const double weight[4], T* out),                      \
                      (grid, q, weight, out))                                                                       \
  CAFFE_ACU_MULTIARCH(T, ScatterGrid,                                                                               \
                      (const Grid& grid, const T* gradient, const double weight[4], T* const q[4]),                 \
                      (grid, gradient, weight, q))                                                                  \
  CAFFE_ACU_MULTIARCH(T, SumPositions,                                                                              \
                      (const Grid& grid, const T* gradient, const T* const q[4], PositionSums* sums),               \
                      (grid, gradient, q, sums))
CAFFE_ACU_SLABS(float)
CAFFE_ACU_SLABS(double)

}  // namespace caffe
