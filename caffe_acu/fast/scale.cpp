// The CPU passes of Caffe's Scale with its bias, each as one pass over the values, factors in parallel.
#include "caffe/layers/scale_layer.hpp"
#include "caffe_acu/fast/row_kernels.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {

template <typename Dtype>
void ScaleLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const Dtype* factor = (bottom.size() > 1 ? bottom[1] : this->blobs_[0].get())->cpu_data();
  const Dtype* shift = bias_layer_ ? this->blobs_[bias_param_id_]->cpu_data() : nullptr;
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  Dtype* saved = bottom[0] == top[0] ? temp_.mutable_cpu_data() : nullptr;  // for backward
  ParallelFor(scale_dim_, [&](int d) {
    for (int n = 0; n < outer_dim_; ++n) {
      const size_t at = (static_cast<size_t>(n) * scale_dim_ + d) * inner_dim_;
      ScaleRow(inner_dim_, x + at, factor[d], shift ? shift[d] : Dtype(0), y + at, saved ? saved + at : nullptr);
    }
  });
}

template <typename Dtype>
void ScaleLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                     const vector<Blob<Dtype>*>& bottom) {
  const bool learned = bottom.size() == 1;
  Blob<Dtype>* scale = learned ? this->blobs_[0].get() : bottom[1];
  const bool wants_scale = learned ? this->param_propagate_down_[0] : propagate_down[1];
  const bool wants_shift = bias_layer_ && this->param_propagate_down_.back();
  const Dtype* g = top[0]->cpu_diff();
  const Dtype* x = (bottom[0] == top[0] ? temp_ : *bottom[0]).cpu_data();
  const Dtype* factor = scale->cpu_data();
  Dtype* scale_gradient = wants_scale ? scale->mutable_cpu_diff() : nullptr;
  Dtype* shift_gradient = wants_shift ? this->blobs_[bias_param_id_]->mutable_cpu_diff() : nullptr;
  Dtype* input_gradient = propagate_down[0] ? bottom[0]->mutable_cpu_diff() : nullptr;
  ParallelFor(scale_dim_, [&](int d) {
    double sums[2] = {0, 0};
    for (int n = 0; n < outer_dim_; ++n) {
      const size_t at = (static_cast<size_t>(n) * scale_dim_ + d) * inner_dim_;
      if (wants_scale || wants_shift) SumGradientRow(inner_dim_, g + at, x + at, sums);
      if (input_gradient) {
        ScaleRow(inner_dim_, g + at, factor[d], Dtype(0), input_gradient + at, static_cast<Dtype*>(nullptr));
      }
    }
    // Parameters accumulate, a bottom is overwritten.
    if (scale_gradient) scale_gradient[d] = static_cast<Dtype>(sums[1] + (learned ? scale_gradient[d] : Dtype(0)));
    if (shift_gradient) shift_gradient[d] += static_cast<Dtype>(sums[0]);
  });
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                     \
  template void ScaleLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&); \
  template void ScaleLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,         \
                                                const vector<Blob<Dtype>*>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
