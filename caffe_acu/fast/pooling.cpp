// The CPU passes of Caffe's Pooling (max and average), planes in parallel.
#include <algorithm>
#include <cfloat>

#include "caffe/layers/pooling_layer.hpp"
#include "caffe_acu/fast/row_kernels.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

constexpr int kTaskValues = 1 << 15;

// Calls body(plane) for all planes, several of them in a task.
template <typename Body>
void ForPlanes(int planes, int plane_size, const Body& body) {
  const int run = std::max(1, kTaskValues / std::max(1, plane_size));
  ParallelFor((planes + run - 1) / run, [&](int task) {
    for (int p = task * run; p < std::min(planes, (task + 1) * run); ++p) body(p);
  });
}

// The part of a window along one axis that lies on the image, and its length with the padding.
struct Window {
  Window(int index, int kernel, int stride, int pad, int size) {
    const int first = index * stride - pad;
    begin = std::max(0, first);
    end = std::min(first + kernel, size);
    padded = std::min(first + kernel, size + pad) - first;
  }
  int begin, end, padded;
};

}  // namespace

template <typename Dtype>
void PoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) {
  const PoolingParameter_PoolMethod method = this->layer_param_.pooling_param().pool();
  CHECK(method == PoolingParameter_PoolMethod_MAX || method == PoolingParameter_PoolMethod_AVE)
      << "Pooling layer '" << this->layer_param_.name() << "': stochastic pooling needs a GPU";
  const int in_size = height_ * width_, out_size = pooled_height_ * pooled_width_;
  const Dtype* x = bottom[0]->cpu_data();
  Dtype* y = top[0]->mutable_cpu_data();
  const bool maximum = method == PoolingParameter_PoolMethod_MAX;
  // Where each maximum came from, for backward, unless the net asked for that as a second top.
  int* index = maximum && top.size() == 1 ? max_idx_.mutable_cpu_data() : nullptr;
  Dtype* index_top = maximum && top.size() > 1 ? top[1]->mutable_cpu_data() : nullptr;
  ForPlanes(bottom[0]->num() * channels_, in_size, [&](int plane) {
    const Dtype* in = x + static_cast<size_t>(plane) * in_size;
    const size_t out = static_cast<size_t>(plane) * out_size;
    for (int ph = 0; ph < pooled_height_; ++ph) {
      const Window rows(ph, kernel_h_, stride_h_, pad_h_, height_);
      for (int pw = 0; pw < pooled_width_; ++pw) {
        const Window columns(pw, kernel_w_, stride_w_, pad_w_, width_);
        const size_t at = out + ph * pooled_width_ + pw;
        if (maximum) {
          Dtype most = -FLT_MAX;
          int most_index = -1;
          for (int h = rows.begin; h < rows.end; ++h) {
            for (int w = columns.begin; w < columns.end; ++w) {
              if (!(in[h * width_ + w] > most)) continue;
              most_index = h * width_ + w;
              most = in[most_index];
            }
          }
          y[at] = most;
          if (index) index[at] = most_index;
          if (index_top) index_top[at] = static_cast<Dtype>(most_index);
        } else {
          double sum = 0;
          if (columns.end - columns.begin == width_) {  // neighbours in memory: global pooling
            SumRow((rows.end - rows.begin) * width_, in + rows.begin * width_, &sum);
          } else {
            for (int h = rows.begin; h < rows.end; ++h) {
              for (int w = columns.begin; w < columns.end; ++w) sum += in[h * width_ + w];
            }
          }
          y[at] = static_cast<Dtype>(sum / (rows.padded * columns.padded));
        }
      }
    }
  });
}

template <typename Dtype>
void PoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                                       const vector<Blob<Dtype>*>& bottom) {
  if (!propagate_down[0]) return;
  const int in_size = height_ * width_, out_size = pooled_height_ * pooled_width_;
  const bool maximum = this->layer_param_.pooling_param().pool() == PoolingParameter_PoolMethod_MAX;
  const Dtype* g = top[0]->cpu_diff();
  Dtype* d = bottom[0]->mutable_cpu_diff();
  const int* index = maximum && top.size() == 1 ? max_idx_.cpu_data() : nullptr;
  const Dtype* index_top = maximum && top.size() > 1 ? top[1]->cpu_data() : nullptr;
  ForPlanes(bottom[0]->num() * channels_, in_size, [&](int plane) {
    Dtype* to = d + static_cast<size_t>(plane) * in_size;
    const size_t out = static_cast<size_t>(plane) * out_size;
    std::fill_n(to, in_size, Dtype(0));
    for (int i = 0; i < out_size && maximum; ++i) {
      const int from = index ? index[out + i] : static_cast<int>(index_top[out + i]);
      if (from >= 0) to[from] += g[out + i];  // -1: nothing in the window was a number
    }
    for (int ph = 0; ph < pooled_height_ && !maximum; ++ph) {
      const Window rows(ph, kernel_h_, stride_h_, pad_h_, height_);
      for (int pw = 0; pw < pooled_width_; ++pw) {
        const Window columns(pw, kernel_w_, stride_w_, pad_w_, width_);
        const Dtype share = g[out + ph * pooled_width_ + pw] / (rows.padded * columns.padded);
        for (int h = rows.begin; h < rows.end; ++h) {
          for (int w = columns.begin; w < columns.end; ++w) to[h * width_ + w] += share;
        }
      }
    }
  });
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                       \
  template void PoolingLayer<Dtype>::Forward_cpu(const vector<Blob<Dtype>*>&, const vector<Blob<Dtype>*>&); \
  template void PoolingLayer<Dtype>::Backward_cpu(const vector<Blob<Dtype>*>&, const vector<bool>&,         \
                                                  const vector<Blob<Dtype>*>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
