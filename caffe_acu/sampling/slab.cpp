// Between planes and slabs, row by row.
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

// kBeyond: what follows is written afterwards, so whole vectors may reach into it.
template <bool kBeyond, typename T>
CAFFE_ACU_INLINE void ZeroRow(int count, T* out) {
  typedef RowLanes<T> L;
  int i = 0;
  for (; i <= count - L::kCount; i += L::kCount) L::Store(out + i, typename L::V{});
  if (kBeyond && i < count) {
    L::Store(out + i, typename L::V{});
    return;
  }
  for (; i < count; ++i) out[i] = 0;
}

// Where row i of the slab begins. Divisions would take longer than copying the row.
CAFFE_ACU_INLINE int RowOffset(const SlabShape& s, int i) {
  if (s.stride_h == 1) return i * s.pitch;
  if (s.stride_h == 2) return (i & 1) * s.stride_w * s.phase_size + (i >> 1) * s.pitch;
  return (i % s.stride_h) * s.stride_w * s.phase_size + (i / s.stride_h) * s.pitch;
}

// The rows i of the slab that lie on the image, and for a phase of the columns, which of them do.
struct Inside {
  int begin, end;
};
CAFFE_ACU_INLINE Inside InsideOf(int first, int count, int size) {
  const int begin = std::min(std::max(0, -first), count);
  return {begin, std::max(begin, std::min(count, size - first))};
}

// The part of a row that lies in a phase and on the image; returns its begin and end in the phase.
CAFFE_ACU_INLINE Inside InPhase(const SlabShape& s, const Inside& columns, int phase) {
  const int begin = (std::max(0, columns.begin - phase) + s.stride_w - 1) / s.stride_w;
  return {begin, std::max(begin, (columns.end - phase + s.stride_w - 1) / s.stride_w)};
}

// Runs of two vectors over begin .. end-1, begin even: the last one, also even, may overlap the one before, so
// that at most one value is left.
template <typename L>
CAFFE_ACU_INLINE int LastRun(int begin, int end) {
  const int last = (end - 2 * L::kCount) & ~1;
  return last < begin ? -1 : last;
}
template <typename L>
CAFFE_ACU_INLINE int NextRun(int at, int last) {
  const int next = at + 2 * L::kCount;
  return at < last && next > last ? last : next;
}

// Of a row, whose columns `inside` are on the image, the values of all phases; those of stride 2, the common
// one, in vectors: pairs of values are taken apart.
template <typename T>
CAFFE_ACU_INLINE void CopyPhases(const SlabShape& s, const T* in, const Inside& inside, T* out) {
  typedef RowLanes<T> L;
  if (s.stride_w == 2) {
    T* odd = out + s.phase_size;
    typename L::Mask first, second;  // of each pair
    for (int i = 0; i < L::kCount; ++i) {
      first[i] = 2 * i;
      second[i] = 2 * i + 1;
    }
    int i = inside.begin;
    if (i % 2 == 1 && i < inside.end) {
      odd[i / 2] = in[i];
      ++i;
    }
    const int last = LastRun<L>(i, inside.end);
    while (i <= last) {
      const typename L::V left = L::Load(in + i), right = L::Load(in + i + L::kCount);
      L::Store(out + i / 2, L::Pick(left, right, first));
      L::Store(odd + i / 2, L::Pick(left, right, second));
      i = NextRun<L>(i, last);
    }
    // Named first, here and below: with -fsanitize=undefined GCC 12 makes wrong code of (.. ? .. : ..)[index].
    for (; i < inside.end; ++i) {
      T* const to = i % 2 ? odd : out;
      to[i / 2] = in[i];
    }
    return;
  }
  for (int phase = 0; phase < s.stride_w; ++phase, out += s.phase_size) {
    const Inside part = InPhase(s, inside, phase);
    for (int j = part.begin; j < part.end; ++j) out[j] = in[phase + s.stride_w * j];
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SpreadSlabKernel(const SlabShape& s, const T* plane, T* slab) {
  const Inside rows = InsideOf(s.row, s.rows, s.plane_height);
  const Inside columns = InsideOf(s.column, s.columns, s.plane_width);
  for (int i = 0; i < s.rows; ++i) {
    T* out = slab + RowOffset(s, i);
    const T* in = plane + static_cast<long>(s.row + i) * s.plane_width + s.column;
    if (i < rows.begin || i >= rows.end) {
      for (int phase = 0; phase < s.stride_w; ++phase) ZeroRow<false>(s.pitch, out + phase * s.phase_size);
    } else if (s.stride_w == 1 && s.stride_h == 1) {
      ZeroRow<true>(columns.begin, out);
      CopyRow(in + columns.begin, columns.end - columns.begin, out + columns.begin);
      ZeroRow<true>(s.pitch - columns.end, out + columns.end);
    } else {
      for (int phase = 0; phase < s.stride_w; ++phase) {
        const Inside part = InPhase(s, columns, phase);
        ZeroRow<false>(part.begin, out + phase * s.phase_size);
        ZeroRow<false>(s.pitch - part.end, out + phase * s.phase_size + part.end);
      }
      CopyPhases(s, in, columns, out);
    }
  }
}

// Planes follow each other, and little is done with each: the processor's own prefetching, which stops at
// the end of a page, comes too late. Bytes.
constexpr int kLine = 64, kAhead = 4096;

template <typename Level, typename T>
CAFFE_ACU_INLINE void RefillSlabKernel(const SlabShape& s, const T* plane, T* slab) {
  const Inside rows = InsideOf(s.row, s.rows, s.plane_height);
  const Inside columns = InsideOf(s.column, s.columns, s.plane_width);
  for (int i = rows.begin; i < rows.end; ++i) {
    const T* in = plane + static_cast<long>(s.row + i) * s.plane_width + s.column;
    for (int c = 0; c < s.plane_width; c += kLine / static_cast<int>(sizeof(T))) {
      __builtin_prefetch(in + c + kAhead / static_cast<int>(sizeof(T)));
    }
    if (s.stride_w == 1 && s.stride_h == 1) {
      CopyRow(in + columns.begin, columns.end - columns.begin, slab + i * s.pitch + columns.begin);
      continue;
    }
    T* out = slab + RowOffset(s, i);
    CopyPhases(s, in, columns, out);
  }
}

// The transpose of CopyPhases; kAdd: onto what stands there.
template <bool kAdd, typename T>
CAFFE_ACU_INLINE void MergePhases(const SlabShape& s, const T* in, const Inside& inside, T* out) {
  typedef RowLanes<T> L;
  if (s.stride_w == 2) {
    const T* odd = in + s.phase_size;
    typename L::Mask left, right;  // halves of a run of pairs
    for (int i = 0; i < L::kCount; ++i) {
      left[i] = i / 2 + i % 2 * L::kCount;
      right[i] = left[i] + L::kCount / 2;
    }
    int i = inside.begin;
    const auto one = [&](int at) {
      const T* const from = at % 2 ? odd : in;
      const T value = from[at / 2];
      out[at] = kAdd ? out[at] + value : value;
    };
    if (i % 2 == 1 && i < inside.end) one(i++);
    // Nothing may be added twice.
    const int last = kAdd ? i + (inside.end - i) / (2 * L::kCount) * (2 * L::kCount) - 2 * L::kCount
                          : LastRun<L>(i, inside.end);
    while (i <= last) {
      const typename L::V a = L::Load(in + i / 2), b = L::Load(odd + i / 2);
      const typename L::V low = L::Pick(a, b, left), high = L::Pick(a, b, right);
      T* to = out + i;
      L::Store(to, kAdd ? L::Load(to) + low : low);
      L::Store(to + L::kCount, kAdd ? L::Load(to + L::kCount) + high : high);
      i = NextRun<L>(i, last);
    }
    while (i < inside.end) one(i++);
    return;
  }
  for (int phase = 0; phase < s.stride_w; ++phase, in += s.phase_size) {
    const Inside part = InPhase(s, inside, phase);
    for (int j = part.begin; j < part.end; ++j) {
      T* to = out + phase + s.stride_w * j;
      *to = kAdd ? *to + in[j] : in[j];
    }
  }
}

template <bool kAdd, typename T>
CAFFE_ACU_INLINE void SlabToPlane(const SlabShape& s, const T* slab, T* plane) {
  const Inside rows = InsideOf(s.row, s.rows, s.plane_height);
  const Inside columns = InsideOf(s.column, s.columns, s.plane_width);
  const int count = columns.end - columns.begin;
  for (int i = rows.begin; i < rows.end; ++i) {
    const T* in = slab + RowOffset(s, i);
    T* out = plane + static_cast<long>(s.row + i) * s.plane_width + s.column;
    if (s.stride_w > 1) {
      MergePhases<kAdd>(s, in, columns, out);
    } else if (kAdd) {
      AddRow(in + columns.begin, count, out + columns.begin);
    } else {
      CopyRow(in + columns.begin, count, out + columns.begin);
    }
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void GatherSlabKernel(const SlabShape& shape, const T* slab, T* plane) {
  SlabToPlane<true>(shape, slab, plane);
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void UnspreadSlabKernel(const SlabShape& shape, const T* slab, T* plane) {
  SlabToPlane<false>(shape, slab, plane);
}

}  // namespace

#define CAFFE_ACU_SLABS(T)                                                                                        \
  CAFFE_ACU_MULTIARCH(T, SpreadSlab, (const SlabShape& shape, const T* plane, T* slab), (shape, plane, slab))    \
  CAFFE_ACU_MULTIARCH(T, RefillSlab, (const SlabShape& shape, const T* plane, T* slab), (shape, plane, slab))    \
  CAFFE_ACU_MULTIARCH(T, UnspreadSlab, (const SlabShape& shape, const T* slab, T* plane), (shape, slab, plane))  \
  CAFFE_ACU_MULTIARCH(T, GatherSlab, (const SlabShape& shape, const T* slab, T* plane), (shape, slab, plane))
CAFFE_ACU_SLABS(float)
CAFFE_ACU_SLABS(double)

}  // namespace caffe
