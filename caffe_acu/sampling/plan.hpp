#ifndef CAFFE_ACU_SAMPLING_PLAN_HPP_
#define CAFFE_ACU_SAMPLING_PLAN_HPP_

#include <vector>

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

/**
 * @brief How to read the four neighbours of every synapse (equations 6 to 9) without a branch or a
 *        multiplication for an address.
 *
 * A displacement is the same for all outputs, so its four neighbours Q11, Q21, Q12, Q22 are four copies
 * of the output grid, shifted over the input, with constant coefficients. To make each of them a plain
 * run through memory, an input plane is first copied into a bordered plane:
 *  - with a border of zeros, just wide enough for every synapse that sees anything of the image;
 *  - for stride s, split into s x s phases (rows and columns with the same remainder), so that
 *    neighbouring outputs read neighbouring values.
 * In it, neighbour q of synapse k for output (m, n) is at tap(k).offset[q] + m * pitch() + n.
 */
class SamplingPlan {
 public:
  enum Neighbour { Q11, Q21, Q12, Q22 };

  struct Tap {
    bool visible;        // false: all samples lie outside the image and are 0
    double a, b;         // fractions of alpha and beta (equation 7)
    int offset[4];       // of Q11, Q21, Q12, Q22 in the bordered plane
    double weight[4];    // (1-a)(1-b), a(1-b), (1-a)b, ab
  };

  /// `count` synapses (all position sets one after the other) at (x[i], y[i]).
  template <typename Dtype>
  SamplingPlan(const SamplingGeometry& geometry, int count, const Dtype* x, const Dtype* y);

  const SamplingGeometry& geometry() const { return geometry_; }
  const Tap& tap(int i) const { return taps_[i]; }
  int pitch() const { return pitch_; }
  int plane_size() const { return phase_size_ * geometry_.stride_h * geometry_.stride_w; }

  /// Copies an input plane into a bordered plane whose border is already zero.
  template <typename Dtype>
  void Spread(const Dtype* input, Dtype* bordered) const;
  /// The transpose: takes the inner part of a bordered plane out, over or onto an input plane.
  template <typename Dtype>
  void Gather(const Dtype* bordered, bool accumulate, Dtype* input) const;

 private:
  int Index(int row, int column) const;  // in the bordered plane, of a bordered row and column

  SamplingGeometry geometry_;
  std::vector<Tap> taps_;
  int top_ = 0, left_ = 0;  // width of the border
  int pitch_, phase_size_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_PLAN_HPP_
