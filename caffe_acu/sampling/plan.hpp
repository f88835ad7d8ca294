#ifndef CAFFE_ACU_SAMPLING_PLAN_HPP_
#define CAFFE_ACU_SAMPLING_PLAN_HPP_

#include <vector>

#include "caffe_acu/sampling/slab.hpp"
#include "caffe_acu/sampling/taps.hpp"

namespace caffe {

/// Where the samples of a layer lie: output (m, n) has its base point at input row
/// origin_h + m * stride_h and column origin_w + n * stride_w; a synapse is displaced from there.
struct SamplingGeometry {
  int height, width;          // of an input plane
  int out_height, out_width;  // of an output plane
  int stride_h, stride_w;
  int origin_h, origin_w;

  int in_size() const { return height * width; }
  int out_size() const { return out_height * out_width; }
};

/// A rectangle of an output plane.
struct OutputPart {
  int row, column;  // of its first output
  int rows, columns;
};

/**
 * @brief How to read the four neighbours of every synapse (equations 6 to 9) without a branch or a
 *        multiplication for an address.
 *
 * A displacement is the same for all outputs, so its four neighbours Q11, Q21, Q12, Q22 are four copies
 * of the output grid, shifted over the input, with constant coefficients. To make each of them a plain
 * run through memory, what a part of the outputs sees of an input plane is first copied into a slab:
 *  - with zeros where it reaches beyond the image;
 *  - for stride s, split into s x s phases (rows and columns with the same remainder), so that
 *    neighbouring outputs read neighbouring values.
 * In it, neighbour q of synapse k for output (m, n) of the part is at taps(set)[k].offset[q] + m * pitch + n.
 */
class SamplingPlan {
 public:
  /// x and y (sets, synapses). Parts will have at most `most_rows` x `most_columns` outputs. With
  /// `one_box`, slabs of all sets have the same shape, as large as the largest needs.
  template <typename Dtype>
  SamplingPlan(const SamplingGeometry& geometry, int sets, int synapses, const Dtype* x, const Dtype* y,
               int most_rows, int most_columns, bool one_box = false);

  int synapses() const { return synapses_; }
  const SamplingGeometry& geometry() const { return geometry_; }
  /// The synapses of a set.
  const Tap* taps(int set) const { return &taps_[set * synapses_]; }
  int pitch(int set) const { return boxes_[set].pitch; }
  /// Where in an input plane the slab of a part lies.
  SlabShape Slab(int set, const OutputPart& part) const;
  /// Room for any slab, with some for vectors that reach beyond its end.
  int slab_size() const { return slab_size_; }
  /// One synapse at the base point and stride 1 without padding: the samples are the input itself.
  bool is_identity() const { return is_identity_; }

 private:
  // The box around the displacements of a set: Q11 of the first to Q22 of the last, in input pixels.
  struct Box {
    int top, left, bottom, right;
    int pitch, phase_size;

    bool empty() const { return top > bottom; }
    int rows() const { return bottom - top + 1; }
    int columns() const { return right - left + 1; }
  };

  SamplingGeometry geometry_;
  int synapses_;
  std::vector<Tap> taps_;
  std::vector<Box> boxes_;
  int slab_size_ = 0;
  bool is_identity_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_PLAN_HPP_
