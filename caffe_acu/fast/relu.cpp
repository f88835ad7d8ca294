// The CPU passes of Caffe's ReLU, in vectors and in parallel.
#include <algorithm>

#include "caffe/layers/relu_layer.hpp"
#include "caffe_acu/fast/row_kernels.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

constexpr int kPiece = 1 << 15;  // values of a task

template <typename Body>
void ForPieces(int count, const Body& body) {
  ParallelFor((count + kPiece - 1) / kPiece, [&](int piece) {
    body(piece * kPiece, std::min(kPiece, count - piece * kPiece));
  });
}

}  // namespace

template <typename Dtype>
void ReLULayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  ForPieces(bottom[0]->count(), [&](int at, int count) { ReLURow(count, x + at, slope, y + at); });
}

template <typename Dtype>
void ReLULayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                    const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const Dtype slope = this->layer_param_.relu_param().negative_slope();
  const Dtype* x = bottom[0]->cpu_data();
  const Dtype* g = top[0]->cpu_diff();
  Dtype* d = bottom[0]->mutable_cpu_diff();
  ForPieces(bottom[0]->count(), [&](int at, int count) { ReLUBackwardRow(count, g + at, x + at, slope, d + at); });
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                    \
  template void ReLULayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&); \
  template void ReLULayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,         \
                                               const vector<Blob<Dtype>*>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
