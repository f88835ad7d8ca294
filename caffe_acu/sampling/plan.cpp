#include "caffe_acu/sampling/plan.hpp"

#include <algorithm>
#include <cmath>

namespace caffe {
namespace {

// One coordinate of a synapse: integral and fractional part of its displacement, and whether any of
// its samples, the right neighbour's included, falls onto the image.
struct Coordinate {
  int whole;
  double fraction;
  bool visible;
};

Coordinate Split(double displacement, int origin, int span, int size) {
  const double whole = std::floor(displacement);
  const bool visible = !(origin + whole + span + 1 < 0) && !(origin + whole > size - 1);
  if (std::isnan(displacement)) return {0, displacement, true};  // let it show in the output
  if (!visible) return {0, 0, false};
  return {static_cast<int>(whole), displacement - whole, true};
}

}  // namespace

template <typename Dtype>
SamplingPlan::SamplingPlan(const SamplingGeometry& geometry, int count, const Dtype* x, const Dtype* y)
    : geometry_(geometry), taps_(count) {
  const SamplingGeometry& g = geometry_;
  const int span_h = (g.out_height - 1) * g.stride_h;
  const int span_w = (g.out_width - 1) * g.stride_w;

  int bottom = g.height - 1, right = g.width - 1;  // last row and column that are read
  std::vector<int> rows(count), columns(count);    // of Q11 for output (0, 0), in the image
  for (int i = 0; i < count; ++i) {
    const Coordinate alpha = Split(x[i], g.origin_w, span_w, g.width);
    const Coordinate beta = Split(y[i], g.origin_h, span_h, g.height);
    const double a = alpha.fraction, b = beta.fraction;
    taps_[i] = {alpha.visible && beta.visible, a, b, {}, {(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b}};
    if (!taps_[i].visible) continue;
    rows[i] = g.origin_h + beta.whole;
    columns[i] = g.origin_w + alpha.whole;
    top_ = std::max(top_, -rows[i]);
    left_ = std::max(left_, -columns[i]);
    bottom = std::max(bottom, rows[i] + span_h + 1);
    right = std::max(right, columns[i] + span_w + 1);
  }

  const auto divide_up = [](int n, int d) { return (n + d - 1) / d; };
  pitch_ = divide_up(left_ + right + 1, g.stride_w);
  phase_size_ = pitch_ * divide_up(top_ + bottom + 1, g.stride_h);
  for (int i = 0; i < count; ++i) {
    if (!taps_[i].visible) continue;
    const int row = rows[i] + top_, column = columns[i] + left_;
    taps_[i].offset[Q11] = Index(row, column);
    taps_[i].offset[Q21] = Index(row, column + 1);
    taps_[i].offset[Q12] = Index(row + 1, column);
    taps_[i].offset[Q22] = Index(row + 1, column + 1);
  }
}

int SamplingPlan::Index(int row, int column) const {
  const int sh = geometry_.stride_h, sw = geometry_.stride_w;
  return ((row % sh) * sw + column % sw) * phase_size_ + (row / sh) * pitch_ + column / sw;
}

template <typename Dtype>
void SamplingPlan::Spread(const Dtype* input, Dtype* bordered) const {
  const int width = geometry_.width, step = geometry_.stride_w;
  for (int h = 0; h < geometry_.height; ++h, input += width) {
    for (int phase = 0; phase < std::min(step, width); ++phase) {
      Dtype* out = bordered + Index(h + top_, left_ + phase);
      if (step == 1) {
        std::copy_n(input, width, out);
      } else {
        for (int w = phase, i = 0; w < width; w += step, ++i) out[i] = input[w];
      }
    }
  }
}

template <typename Dtype>
void SamplingPlan::Gather(const Dtype* bordered, bool accumulate, Dtype* input) const {
  const int width = geometry_.width, step = geometry_.stride_w;
  for (int h = 0; h < geometry_.height; ++h, input += width) {
    for (int phase = 0; phase < std::min(step, width); ++phase) {
      const Dtype* in = bordered + Index(h + top_, left_ + phase);
      if (accumulate) {
        for (int w = phase, i = 0; w < width; w += step, ++i) input[w] += in[i];
      } else {
        for (int w = phase, i = 0; w < width; w += step, ++i) input[w] = in[i];
      }
    }
  }
}

template SamplingPlan::SamplingPlan(const SamplingGeometry&, int, const float*, const float*);
template SamplingPlan::SamplingPlan(const SamplingGeometry&, int, const double*, const double*);
template void SamplingPlan::Spread(const float*, float*) const;
template void SamplingPlan::Spread(const double*, double*) const;
template void SamplingPlan::Gather(const float*, bool, float*) const;
template void SamplingPlan::Gather(const double*, bool, double*) const;

}  // namespace caffe
