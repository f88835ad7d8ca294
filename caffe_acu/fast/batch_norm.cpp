// The CPU passes of Caffe's BatchNorm: the same function, a channel at a time so that its values are
// read from the cache after the first pass, and channels in parallel.
#include <cmath>

#include "caffe/layers/batch_norm_layer.hpp"
#include "caffe_acu/fast/row_kernels.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void BatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const int images = bottom[0]->shape(0), size = bottom[0]->count() / (images * channels_);
  const double count = static_cast<double>(images) * size;
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  // What backward needs: y itself may be overwritten by a layer that works in place.
  Dtype* normalized = use_global_stats_ ? y : x_norm_.mutable_cpu_data();
  Dtype* deviation = variance_.mutable_cpu_data();
  Dtype* mean_sum = this->blobs_[0]->mutable_cpu_data();
  Dtype* variance_sum = this->blobs_[1]->mutable_cpu_data();
  Dtype* weight = this->blobs_[2]->mutable_cpu_data();  // of the sums
  if (!use_global_stats_) *weight = *weight * moving_average_fraction_ + 1;
  const Dtype stored = *weight == 0 ? Dtype(0) : 1 / *weight;

  ParallelFor(channels_, [&](int c) {
    const auto for_planes = [&](auto&& visit) {
      for (int n = 0; n < images; ++n) visit((static_cast<size_t>(n) * channels_ + c) * size);
    };
    double mean = 0, variance = 0;
    if (use_global_stats_) {
      mean = mean_sum[c] * stored;
      variance = variance_sum[c] * stored;
    } else {
      for_planes([&](size_t at) { SumRow(size, x + at, &mean); });
      mean /= count;
      for_planes([&](size_t at) { SumSquaresRow(size, x + at, static_cast<Dtype>(mean), &variance); });
      variance /= count;
      const double unbiased = count > 1 ? variance * count / (count - 1) : variance;
      mean_sum[c] = static_cast<Dtype>(mean + moving_average_fraction_ * mean_sum[c]);
      variance_sum[c] = static_cast<Dtype>(unbiased + moving_average_fraction_ * variance_sum[c]);
    }
    deviation[c] = static_cast<Dtype>(std::sqrt(variance + eps_));
    for_planes([&](size_t at) {
      NormalizeRow(size, x + at, static_cast<Dtype>(mean), 1 / deviation[c], y + at, normalized + at);
    });
  });
}

template <typename Dtype>
void BatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                         const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int images = bottom[0]->shape(0), size = bottom[0]->count() / (images * channels_);
  const double count = static_cast<double>(images) * size;
  const Dtype* g = top[0]->cpu_diff();
  Dtype* d = bottom[0]->mutable_cpu_diff();
  const Dtype* deviation = variance_.cpu_data();
  const Dtype* y = use_global_stats_ ? g : x_norm_.cpu_data();
  ParallelFor(channels_, [&](int c) {
    double sums[2] = {0, 0};
    for (int n = 0; n < images && !use_global_stats_; ++n) {
      const size_t at = (static_cast<size_t>(n) * channels_ + c) * size;
      SumGradientRow(size, g + at, y + at, sums);
    }
    for (int n = 0; n < images; ++n) {
      const size_t at = (static_cast<size_t>(n) * channels_ + c) * size;
      NormalizeBackwardRow(size, g + at, y + at, 1 / deviation[c], static_cast<Dtype>(sums[0] / count),
                           static_cast<Dtype>(sums[1] / count), d + at);
    }
  });
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                         \
  template void BatchNormLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&); \
  template void BatchNormLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,         \
                                                    const vector<Blob<Dtype>*>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
