// The inner loops of the ACU. Each is compiled for the baseline processor and for AVX2 with FMA, and
// chosen when the library is loaded, so that one build is portable and fast.
#include "caffe_acu/sampling/grid.hpp"

#include <algorithm>

#if defined(__x86_64__) && defined(__linux__)
#define CAFFE_ACU_MULTIARCH __attribute__((target_clones("arch=x86-64-v3", "default")))
#else
#define CAFFE_ACU_MULTIARCH
#endif
#define CAFFE_ACU_INLINE inline __attribute__((always_inline))

namespace caffe {
namespace {

template <typename T>
CAFFE_ACU_INLINE void Sample(const Grid& grid, const T* const q[4], const double weight[4], T* out) {
  // The weights that are not 0, with their neighbours: 1, 2 or 4 of them, 3 if one underflows.
  const T* p[4] = {q[0], q[0], q[0], q[0]};
  T w[4] = {0, 0, 0, 0};
  int count = 0;
  for (int i = 0; i < 4; ++i) {
    if (weight[i] == 0) continue;
    p[count] = q[i];
    w[count++] = static_cast<T>(weight[i]);
  }
  for (int r = 0; r < grid.rows; ++r, out += grid.columns) {
    const int at = r * grid.pitch;
    if (count == 1 && w[0] == 1) {
      std::copy_n(p[0] + at, grid.columns, out);
    } else if (count <= 2) {
      const T *p0 = p[0] + at, *p1 = p[1] + at;
#pragma omp simd
      for (int c = 0; c < grid.columns; ++c) out[c] = w[0] * p0[c] + w[1] * p1[c];
    } else {
      const T *p0 = p[0] + at, *p1 = p[1] + at, *p2 = p[2] + at, *p3 = p[3] + at;
#pragma omp simd
      for (int c = 0; c < grid.columns; ++c) out[c] = (w[0] * p0[c] + w[1] * p1[c]) + (w[2] * p2[c] + w[3] * p3[c]);
    }
  }
}

template <typename T>
CAFFE_ACU_INLINE void Scatter(const Grid& grid, const T* gradient, const double weight[4], T* const q[4]) {
  for (int i = 0; i < 4; ++i) {
    if (weight[i] == 0) continue;
    const T w = static_cast<T>(weight[i]);
    const T* g = gradient;
    T* p = q[i];
    for (int r = 0; r < grid.rows; ++r, g += grid.columns, p += grid.pitch) {
#pragma omp simd
      for (int c = 0; c < grid.columns; ++c) p[c] += w * g[c];
    }
  }
}

template <typename T>
CAFFE_ACU_INLINE PositionSums Sum(const Grid& grid, const T* gradient, const T* const q[4]) {
  PositionSums sums = {0, 0, 0};
  for (int r = 0; r < grid.rows; ++r, gradient += grid.columns) {
    const int at = r * grid.pitch;
    const T *q11 = q[0] + at, *q21 = q[1] + at, *q12 = q[2] + at, *q22 = q[3] + at;
    T horizontal = 0, vertical = 0, mixed = 0;  // of one row; rows are added in double
#pragma omp simd reduction(+ : horizontal, vertical, mixed)
    for (int c = 0; c < grid.columns; ++c) {
      const T upper = q21[c] - q11[c];
      const T lower = q22[c] - q12[c];
      horizontal += gradient[c] * upper;
      vertical += gradient[c] * (q12[c] - q11[c]);
      mixed += gradient[c] * (lower - upper);
    }
    sums.horizontal += horizontal;
    sums.vertical += vertical;
    sums.mixed += mixed;
  }
  return sums;
}

}  // namespace

CAFFE_ACU_MULTIARCH
void SampleGrid(const Grid& grid, const float* const neighbour[4], const double weight[4], float* out) {
  Sample(grid, neighbour, weight, out);
}
CAFFE_ACU_MULTIARCH
void SampleGrid(const Grid& grid, const double* const neighbour[4], const double weight[4], double* out) {
  Sample(grid, neighbour, weight, out);
}
CAFFE_ACU_MULTIARCH
void ScatterGrid(const Grid& grid, const float* gradient, const double weight[4], float* const neighbour[4]) {
  Scatter(grid, gradient, weight, neighbour);
}
CAFFE_ACU_MULTIARCH
void ScatterGrid(const Grid& grid, const double* gradient, const double weight[4], double* const neighbour[4]) {
  Scatter(grid, gradient, weight, neighbour);
}
CAFFE_ACU_MULTIARCH
PositionSums SumPositions(const Grid& grid, const float* gradient, const float* const neighbour[4]) {
  return Sum(grid, gradient, neighbour);
}
CAFFE_ACU_MULTIARCH
PositionSums SumPositions(const Grid& grid, const double* gradient, const double* const neighbour[4]) {
  return Sum(grid, gradient, neighbour);
}

}  // namespace caffe
