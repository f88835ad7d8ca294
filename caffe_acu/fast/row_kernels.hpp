#ifndef CAFFE_ACU_FAST_ROW_KERNELS_HPP_
#define CAFFE_ACU_FAST_ROW_KERNELS_HPP_

// Single passes over n neighbouring values, from which the layers of this folder are made. Where two
// pointers of a function are equal, it works in place. Sums are over one row in the type of the values,
// so a row should not be longer than a plane; callers add rows in double.

namespace caffe {

template <typename T>
void SumRow(int n, const T* x, double* sum);

/// Of (x - mean)^2.
template <typename T>
void SumSquaresRow(int n, const T* x, T mean, double* sum);

/// y = (x - mean) * factor, and the same into `copy`.
template <typename T>
void NormalizeRow(int n, const T* x, T mean, T factor, T* y, T* copy);

/// sums += {sum of g, sum of g * x}
template <typename T>
void SumGradientRow(int n, const T* g, const T* x, double sums[2]);

/// d = factor * (g - mean_g - mean_gx * x): the way back through a normalisation.
template <typename T>
void NormalizeBackwardRow(int n, const T* g, const T* x, T factor, T mean_g, T mean_gx, T* d);

/// y = factor * x + shift; x is saved to `copy` unless that is null.
template <typename T>
void ScaleRow(int n, const T* x, T factor, T shift, T* y, T* copy);

/// y = x where x > 0, slope * x elsewhere
template <typename T>
void ReLURow(int n, const T* x, T slope, T* y);

/// d = g where x > 0, slope * g elsewhere
template <typename T>
void ReLUBackwardRow(int n, const T* g, const T* x, T slope, T* d);

}  // namespace caffe

#endif  // CAFFE_ACU_FAST_ROW_KERNELS_HPP_
