#ifndef CAFFE_ACU_STEP_POSITION_KERNELS_HPP_
#define CAFFE_ACU_STEP_POSITION_KERNELS_HPP_

namespace caffe {

/// What PositionStep does, on the GPU: gx, gy, x and y are (sets, synapses), fixed is (sets) or holds -1.

/// Gives each synapse's gradient length 1; a zero gradient stays zero.
template <typename Dtype>
void NormalizePositionsGpu(int count, Dtype* gx, Dtype* gy);

/// Zeros the fixed synapse of each set.
template <typename Dtype>
void FreezeFixedGpu(int sets, int synapses, const int* fixed, Dtype* diff);

/// For each set whose fixed synapse is not at (0, 0) any more, the first one that is, or -1.
template <typename Dtype>
void FollowFixedGpu(int sets, int synapses, const Dtype* x, const Dtype* y, int* fixed);

}  // namespace caffe

#endif  // CAFFE_ACU_STEP_POSITION_KERNELS_HPP_
