#include "caffe_acu/fast/row_kernels.hpp"

#include "caffe_acu/util/lanes.hpp"

namespace caffe {
namespace {

// Sums run in several vectors at once, since each addition has to wait for the one before; everything else
// is a plain loop, vectorised anew for every level of processors.
constexpr int kSums = 4;

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumRowKernel(int n, const T* x, double* sum) {
  typedef RowLanes<T> L;
  typename L::V sums[kSums] = {};
  int i = 0;
  for (; i + kSums * L::kCount <= n; i += kSums * L::kCount) {
    for (int v = 0; v < kSums; ++v) sums[v] += L::Load(x + i + v * L::kCount);
  }
  T rest = 0;
  for (; i < n; ++i) rest += x[i];
  *sum += L::Sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumSquaresRowKernel(int n, const T* x, T mean, double* sum) {
  typedef RowLanes<T> L;
  typename L::V sums[kSums] = {};
  int i = 0;
  for (; i + kSums * L::kCount <= n; i += kSums * L::kCount) {
    for (int v = 0; v < kSums; ++v) {
      const typename L::V distance = L::Load(x + i + v * L::kCount) - mean;
      sums[v] += distance * distance;
    }
  }
  T rest = 0;
  for (; i < n; ++i) rest += (x[i] - mean) * (x[i] - mean);
  *sum += L::Sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + rest;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void SumGradientRowKernel(int n, const T* g, const T* x, double sums[2]) {
  typedef RowLanes<T> L;
  typename L::V sum[kSums] = {}, product[kSums] = {};
  int i = 0;
  for (; i + kSums * L::kCount <= n; i += kSums * L::kCount) {
    for (int v = 0; v < kSums; ++v) {
      const typename L::V value = L::Load(g + i + v * L::kCount);
      sum[v] += value;
      product[v] += value * L::Load(x + i + v * L::kCount);
    }
  }
  T rest = 0, product_rest = 0;
  for (; i < n; ++i) {
    rest += g[i];
    product_rest += g[i] * x[i];
  }
  sums[0] += L::Sum((sum[0] + sum[1]) + (sum[2] + sum[3])) + rest;
  sums[1] += L::Sum((product[0] + product[1]) + (product[2] + product[3])) + product_rest;
}

template <typename Level, typename T>
CAFFE_ACU_INLINE void NormalizeRowKernel(int n, const T* x, T mean, T factor, T* y, T* copy) {
#pragma omp simd
  for (int i = 0; i < n; ++i) copy[i] = y[i] = (x[i] - mean) * factor;
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
