#ifndef CAFFE_ACU_SAMPLING_DEPTHWISE_KERNELS_HPP_
#define CAFFE_ACU_SAMPLING_DEPTHWISE_KERNELS_HPP_

#include "caffe_acu/sampling/taps.hpp"

namespace caffe {

/// out(r, c) = start + sum over taps t of coefficient[t] * slab[offset[t] + r * pitch + c], out dense. Up to
/// kSlabSlack values beyond what is needed are read.
template <typename T>
void SumTaps(const Grid& grid, int taps, const int* offset, const T* coefficient, const T* slab, T start, T* out);

/// Number of values in which CorrelateTaps keeps the sum of a tap.
template <typename T>
constexpr int kTapLanes = 32 / sizeof(T);

/// The sum of sums[t * kTapLanes ..] grows by the sum over (r, c) of gradient(r, c) * slab[offset[t] +
/// r * pitch + c]. Row r of the gradient begins at r * gradient_pitch; kSlabSlack values behind its last are read.
template <typename T>
void CorrelateTaps(const Grid& grid, int taps, const int* offset, const T* slab, const T* gradient,
                   int gradient_pitch, T* sums);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_DEPTHWISE_KERNELS_HPP_
