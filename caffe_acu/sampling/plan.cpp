#include "caffe_acu/sampling/plan.hpp"

#include <algorithm>
#include <climits>
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

int DivideUp(int n, int d) { return (n + d - 1) / d; }

}  // namespace

template <typename Dtype>
SamplingPlan::SamplingPlan(const SamplingGeometry& geometry, int sets, int synapses, const Dtype* x,
                           const Dtype* y, int most_rows, int most_columns, bool one_box)
    : geometry_(geometry), synapses_(synapses), taps_(sets * synapses), boxes_(sets) {
  const SamplingGeometry& g = geometry_;
  const int span_h = (g.out_height - 1) * g.stride_h;
  const int span_w = (g.out_width - 1) * g.stride_w;
  std::vector<int> rows(taps_.size()), columns(taps_.size());  // integral displacements
  const Box nothing = {INT_MAX, INT_MAX, INT_MIN, INT_MIN, 0, 0};
  Box all = nothing;
  for (int set = 0; set < sets; ++set) {
    Box& box = boxes_[set] = nothing;
    for (int i = set * synapses; i < (set + 1) * synapses; ++i) {
      const Coordinate alpha = Split(x[i], g.origin_w, span_w, g.width);
      const Coordinate beta = Split(y[i], g.origin_h, span_h, g.height);
      const double a = alpha.fraction, b = beta.fraction;
      taps_[i] = {alpha.visible && beta.visible, a, b, {}, {(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b}};
      if (!taps_[i].visible) continue;
      rows[i] = beta.whole;
      columns[i] = alpha.whole;
      box = {std::min(box.top, rows[i]), std::min(box.left, columns[i]), std::max(box.bottom, rows[i] + 1),
             std::max(box.right, columns[i] + 1), 0, 0};
    }
    all = {std::min(all.top, box.top), std::min(all.left, box.left), std::max(all.bottom, box.bottom),
           std::max(all.right, box.right), 0, 0};
  }
  for (int set = 0; set < sets; ++set) {
    Box& box = boxes_[set];
    if (one_box) box = all;
    if (box.empty()) box = {0, 0, 0, 0, 0, 0};
    box.pitch = SlabPitch(DivideUp((most_columns - 1) * g.stride_w + box.columns(), g.stride_w));
    box.phase_size = box.pitch * DivideUp((most_rows - 1) * g.stride_h + box.rows(), g.stride_h);
    const auto index = [&](int row, int column) {
      return ((row % g.stride_h) * g.stride_w + column % g.stride_w) * box.phase_size +
             (row / g.stride_h) * box.pitch + column / g.stride_w;
    };
    for (int i = set * synapses; i < (set + 1) * synapses; ++i) {
      if (!taps_[i].visible) continue;
      const int row = rows[i] - box.top, column = columns[i] - box.left;
      taps_[i].offset[Tap::Q11] = index(row, column);
      taps_[i].offset[Tap::Q21] = index(row, column + 1);
      taps_[i].offset[Tap::Q12] = index(row + 1, column);
      taps_[i].offset[Tap::Q22] = index(row + 1, column + 1);
    }
    slab_size_ = std::max(slab_size_, box.phase_size * g.stride_h * g.stride_w + kSlabSlack);
  }
  is_identity_ = synapses == 1 && g.stride_h == 1 && g.stride_w == 1 && g.origin_h == 0 && g.origin_w == 0 &&
                 g.height == g.out_height && g.width == g.out_width &&
                 std::all_of(x, x + sets, [](Dtype v) { return v == 0; }) &&
                 std::all_of(y, y + sets, [](Dtype v) { return v == 0; });
}

SlabShape SamplingPlan::Slab(int set, const OutputPart& part) const {
  const SamplingGeometry& g = geometry_;
  const Box& box = boxes_[set];
  SlabShape slab;
  slab.plane_height = g.height;
  slab.plane_width = g.width;
  slab.row = part.row * g.stride_h + g.origin_h + box.top;
  slab.column = part.column * g.stride_w + g.origin_w + box.left;
  slab.rows = (part.rows - 1) * g.stride_h + box.rows();
  slab.columns = (part.columns - 1) * g.stride_w + box.columns();
  slab.stride_h = g.stride_h;
  slab.stride_w = g.stride_w;
  slab.pitch = box.pitch;
  slab.phase_size = box.phase_size;
  return slab;
}

template SamplingPlan::SamplingPlan(const SamplingGeometry&, int, int, const float*, const float*, int, int, bool);
template SamplingPlan::SamplingPlan(const SamplingGeometry&, int, int, const double*, const double*, int, int, bool);

}  // namespace caffe
