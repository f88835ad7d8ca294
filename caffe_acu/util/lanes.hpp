#ifndef CAFFE_ACU_UTIL_LANES_HPP_
#define CAFFE_ACU_UTIL_LANES_HPP_

#include <cstdint>
#include <type_traits>

#include "caffe_acu/util/multiarch.hpp"

namespace caffe {

/// Vectors for rows of a plane. 32 bytes by default: rows are as short as 7 or 8 values, which a longer
/// vector would not fill.
template <typename T, int kBytes = 32>
struct RowLanes {
  typedef typename Vector<T, kBytes>::type V;
  typedef typename Vector<T, kBytes>::unaligned U;
  typedef typename std::conditional<sizeof(T) == 4, int32_t, int64_t>::type Int;
  typedef typename Vector<Int, kBytes>::type Mask;
  static constexpr int kCount = Vector<T, kBytes>::kLanes;

  static CAFFE_ACU_INLINE V Load(const T* p) { return *reinterpret_cast<const U*>(p); }
  static CAFFE_ACU_INLINE void Store(T* p, V v) { *reinterpret_cast<U*>(p) = v; }
  /// All bits set in the first n lanes.
  static CAFFE_ACU_INLINE Mask First(int n) {
    Mask lane;
    for (int i = 0; i < kCount; ++i) lane[i] = i;
    return lane < static_cast<Int>(n);
  }
  /// Of the lanes of a and b, numbered through both, those that are listed.
  static CAFFE_ACU_INLINE V Pick(V a, V b, Mask lanes) {
#ifdef __clang__
    V picked;
    for (int i = 0; i < kCount; ++i) picked[i] = lanes[i] < kCount ? a[lanes[i]] : b[lanes[i] - kCount];
    return picked;
#else
    return __builtin_shuffle(a, b, lanes);
#endif
  }
  static CAFFE_ACU_INLINE V And(V v, Mask mask) { return (V)((Mask)v & mask); }
  static CAFFE_ACU_INLINE T Sum(V v) {
    T sum = 0;
    for (int i = 0; i < kCount; ++i) sum += v[i];
    return sum;
  }
};

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_LANES_HPP_
