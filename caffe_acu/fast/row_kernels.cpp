#include "caffe_acu/fast/row_kernels.hpp"

#include "caffe_acu/util/multiarch.hpp"

namespace caffe {
namespace {

// Plain loops: each is vectorised anew for every level of processors.

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumRowKernel(int n, const T* x, double* sum) {
  T s = 0;
#pragma omp simd reduction(+ : s)
  for (int i = 0; i < n; ++i) s += x[i];
  *sum += s;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumSquaresRowKernel(int n, const T* x, T mean, double* sum) {
  T s = 0;
#pragma omp simd reduction(+ : s)
  for (int i = 0; i < n; ++i) s += (x[i] - mean) * (x[i] - mean);
  *sum += s;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void NormalizeRowKernel(int n, const T* x, T mean, T factor, T* y, T* copy) {
#pragma omp simd
  for (int i = 0; i < n; ++i) copy[i] = y[i] = (x[i] - mean) * factor;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumGradientRowKernel(int n, const T* g, const T* x, double sums[2]) {
  T s = 0, sx = 0;
#pragma omp simd reduction(+ : s, sx)
  for (int i = 0; i < n; ++i) {
    s += g[i];
    sx += g[i] * x[i];
  }
  sums[0] += s;
  sums[1] += sx;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void NormalizeBackwardRowKernel(int n, const T* g, const T* x, T factor, T mean_g, T mean_gx, T* d) {
#pragma omp simd
  for (int i = 0; i < n; ++i) d[i] = factor * (g[i] - mean_g - mean_gx * x[i]);
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void ScaleRowKernel(int n, const T* x, T factor, T shift, T* y, T* copy) {
  if (copy) {
#pragma omp simd
    for (int i = 0; i < n; ++i) {
      const T value = x[i];
      copy[i] = value;
      y[i] = factor * value + shift;
    }
  } else {
#pragma omp simd
    for (int i = 0; i < n; ++i) y[i] = factor * x[i] + shift;
  }
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void ReLURowKernel(int n, const T* x, T slope, T* y) {
#pragma omp simd
  for (int i = 0; i < n; ++i) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void ReLUBackwardRowKernel(int n, const T* g, const T* x, T slope, T* d) {
#pragma omp simd
  for (int i = 0; i < n; ++i) d[i] = x[i] > 0 ? g[i] : slope * g[i];
}

}  // namespace

#define CAFFE_ACU_ROW_KERNELS(T)                                                                                   \
  CAFFE_ACU_MULTIARCH(T, SumRow, (int n, const T* x, double* sum), (n, x, sum))                                    \
  CAFFE_ACU_MULTIARCH(T, SumSquaresRow, (int n, const T* x, T mean, double* sum), (n, x, mean, sum))               \
  CAFFE_ACU_MULTIARCH(T, NormalizeRow, (int n, const T* x, T mean, T factor, T* y, T* copy),                       \
                      (n, x, mean, factor, y, copy))                                                               \
  CAFFE_ACU_MULTIARCH(T, SumGradientRow, (int n, const T* g, const T* x, double sums[2]), (n, g, x, sums))         \
  CAFFE_ACU_MULTIARCH(T, NormalizeBackwardRow,                                                                     \
                      (int n, const T* g, const T* x, T factor, T mean_g, T mean_gx, T* d),                        \
                      (n, g, x, factor, mean_g, mean_gx, d))                                                       \
  CAFFE_ACU_MULTIARCH(T, ScaleRow, (int n, const T* x, T factor, T shift, T* y, T* copy),                          \
                      (n, x, factor, shift, y, copy))                                                              \
  CAFFE_ACU_MULTIARCH(T, ReLURow, (int n, const T* x, T slope, T* y), (n, x, slope, y))                            \
  CAFFE_ACU_MULTIARCH(T, ReLUBackwardRow, (int n, const T* g, const T* x, T slope, T* d), (n, g, x, slope, d))
CAFFE_ACU_ROW_KERNELS(float)
CAFFE_ACU_ROW_KERNELS(double)

}  // namespace caffe
