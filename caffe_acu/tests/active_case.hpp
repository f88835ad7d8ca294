// What the tests of active convolutions share: a description of a layer from which its prototxt is
// made, and a reference that computes the same outputs by loops in double precision.
#ifndef CAFFE_ACU_TESTS_ACTIVE_CASE_HPP_
#define CAFFE_ACU_TESTS_ACTIVE_CASE_HPP_

#include <google/protobuf/text_format.h>

#include <cmath>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/layer_factory.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "gtest/gtest.h"

namespace caffe {

struct ActiveCase {
  std::string name;
  int images = 2, channels = 3, height = 6, width = 5, outputs = 4;
  int kernel_h = 3, kernel_w = 3, stride_h = 1, stride_w = 1, pad_h = 1, pad_w = 1;
  int dilation = 1;
  // Displacements per synapse; empty: random ones around the lattice.
  std::vector<double> x = {}, y = {};
  int groups = 1, sets = 1;         // of convolution, of positions; more than one of either: a GroupedACU
  bool sets_slice_outputs = false;  // as in AConvFast
  bool listed = false;  // the positions are listed in the prototxt, which makes the kernel 1 x K
  double reach = 0.9;   // of the random displacements, in pixels

  std::string type() const { return groups == 1 && sets == 1 ? "ACU" : "GroupedACU"; }
  int set_of(int channel, int output) const {
    return sets_slice_outputs ? output / (outputs / sets) : channel * sets / channels;
  }
  int synapses() const { return listed ? static_cast<int>(x.size()) : kernel_h * kernel_w; }
};

struct GroupedCase {
  int groups, sets, outputs, stride;
};

/// Convolution groups and position sets of 6 channels: equal, one of either, nested both ways, and across.
/// 6 groups are depthwise, with a channel multiplier of 1, 2 and, beyond what the direct kernels take, 5.
inline std::vector<GroupedCase> GroupedCases() {
  return {{2, 2, 4, 1}, {3, 1, 6, 1}, {1, 3, 4, 1}, {1, 6, 3, 2}, {6, 2, 6, 1}, {2, 6, 4, 2}, {2, 3, 4, 1},
          {3, 2, 3, 2}, {6, 6, 6, 1}, {6, 1, 6, 2}, {6, 6, 12, 2}, {6, 3, 12, 1}, {6, 6, 30, 1}};
}

/// The cases that every property is checked on.
inline std::vector<ActiveCase> ActiveCases() {
  const std::vector<double> cross_x = {0.25, 1.25, -1.5, 0.25, 0.75}, cross_y = {-0.25, 0.5, 0.25, 1.75, -1.5};
  const std::vector<double> far_x = {0.25, -3.75, 5.5, 40.5, -1e9}, far_y = {-0.5, 4.25, -5.75, 0.5, 0.25};
  std::vector<ActiveCase> cases;
  const auto add = [&cases](const ActiveCase& c) { cases.push_back(c); };
  ActiveCase c;
  c.name = "3x3";
  add(c);
  c.name = "3x3, no pad, one image, one channel";
  c.pad_h = c.pad_w = 0;
  c.images = c.channels = c.outputs = 1;
  add(c);
  c = ActiveCase();
  c.name = "stride 2";
  c.stride_h = c.stride_w = 2;
  c.height = 7;
  c.width = 8;
  add(c);
  c.name = "strides 3 and 2, non-square kernel and pads";
  c.stride_h = 3;
  c.kernel_h = 2;
  c.kernel_w = 4;
  c.pad_h = 2;
  c.pad_w = 0;
  add(c);
  c = ActiveCase();
  c.name = "K = 1";
  c.kernel_h = c.kernel_w = 1;
  c.pad_h = c.pad_w = 0;
  add(c);
  c = ActiveCase();
  c.name = "K = 4, even kernel";
  c.kernel_h = c.kernel_w = 2;
  add(c);
  c = ActiveCase();
  c.name = "K = 25";
  c.kernel_h = c.kernel_w = 5;
  c.pad_h = c.pad_w = 2;
  add(c);
  c = ActiveCase();
  c.name = "dilation 2";
  c.dilation = 2;
  c.pad_h = c.pad_w = 2;
  add(c);
  c = ActiveCase();
  c.name = "K = 5, listed";
  c.listed = true;
  c.x = cross_x;
  c.y = cross_y;
  c.pad_h = c.pad_w = 0;
  add(c);
  c.name = "K = 5, listed, far outside the image and beyond it, stride 2";
  c.x = far_x;
  c.y = far_y;
  c.stride_h = c.stride_w = 2;
  c.pad_h = 1;
  add(c);
  c = ActiveCase();
  c.name = "wide displacements";
  c.reach = 4;
  add(c);
  for (const GroupedCase& g : GroupedCases()) {
    c = ActiveCase();
    c.name = std::to_string(g.groups) + " groups, " + std::to_string(g.sets) + " sets, " + std::to_string(g.outputs) +
             " outputs of 6 channels, " + (g.stride == 1 ? "stride 1" : "stride 2");
    c.channels = 6;
    c.groups = g.groups;
    c.sets = g.sets;
    c.outputs = g.outputs;
    c.stride_h = c.stride_w = g.stride;
    if (g.outputs > 12) c.images = 1;  // a larger sum of squares would drown the float checks
    add(c);
  }
  c = ActiveCase();
  c.name = "depthwise, K = 5, listed, far outside the image and beyond it, strides 2 and 1";
  c.listed = true;
  c.x = far_x;
  c.y = far_y;
  c.stride_h = 2;
  c.pad_h = 1;
  c.channels = c.groups = c.sets = c.outputs = 2;
  add(c);
  return cases;
}

inline LayerParameter MakeLayerParameter(const ActiveCase& c, const std::string& type, bool bias = true) {
  std::ostringstream text;
  text << "name: 'acu' type: '" << type << "' convolution_param { num_output: " << c.outputs
       << " stride_h: " << c.stride_h << " stride_w: " << c.stride_w << " pad_h: " << c.pad_h
       << " pad_w: " << c.pad_w << " bias_term: " << (bias ? "true" : "false")
       << " weight_filler { type: 'gaussian' std: 1 } bias_filler { type: 'gaussian' std: 1 } ";
  if (!c.listed) {
    text << "kernel_h: " << c.kernel_h << " kernel_w: " << c.kernel_w << " dilation: " << c.dilation;
  }
  if (c.groups > 1) text << " group: " << c.groups;
  text << " } acu_param { ";
  if (c.type() == "GroupedACU") text << "position_group: " << c.sets << " ";
  for (size_t k = 0; k < c.x.size() && c.listed; ++k) {
    text << "position { x: " << c.x[k] << " y: " << c.y[k] << " } ";
  }
  text << "} ";
  LayerParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(text.str(), &param)) << text.str();
  return param;
}

template <typename Dtype>
void FillGaussian(Blob<Dtype>* blob, unsigned seed, bool diff = false) {
  std::mt19937 generator(seed);
  std::normal_distribution<double> normal;
  Dtype* data = diff ? blob->mutable_cpu_diff() : blob->mutable_cpu_data();
  for (int i = 0; i < blob->count(); ++i) data[i] = static_cast<Dtype>(normal(generator));
}

/// Adds random displacements, all at least 0.1 away from lattice lines so that finite differences and
/// rounding cannot cross one.
template <typename Dtype>
void Displace(const ActiveCase& c, Layer<Dtype>* layer, unsigned seed) {
  if (c.listed) return;
  std::mt19937 generator(seed);
  std::uniform_real_distribution<double> fraction(0.1, 0.9);
  std::uniform_int_distribution<int> whole(-std::ceil(c.reach), std::ceil(c.reach) - 1);
  for (int blob : {2, 3}) {
    Dtype* p = layer->blobs()[blob]->mutable_cpu_data();
    for (int i = 0; i < layer->blobs()[blob]->count(); ++i) p[i] += whole(generator) + fraction(generator);
  }
}

/// Value of an image at a real-valued point: bilinear between pixels, 0 outside (equations 6 to 9).
template <typename Dtype>
double Interpolate(const Dtype* plane, int height, int width, double row, double column) {
  double value = 0;
  for (int i = std::floor(row); i <= std::floor(row) + 1; ++i) {
    for (int j = std::floor(column); j <= std::floor(column) + 1; ++j) {
      if (i < 0 || i >= height || j < 0 || j >= width) continue;
      value += (1 - std::abs(row - i)) * (1 - std::abs(column - j)) * plane[i * width + j];
    }
  }
  return value;
}

/// Equation 5 (and 6 of the grouped paper) by loops.
template <typename Dtype>
std::vector<double> ReferenceForward(const ActiveCase& c, const Blob<Dtype>& bottom,
                                     const std::vector<shared_ptr<Blob<Dtype>>>& blobs, bool bias = true) {
  const int kh = c.listed ? 1 : c.dilation * (c.kernel_h - 1) + 1;
  const int kw = c.listed ? 1 : c.dilation * (c.kernel_w - 1) + 1;
  const int centre_h = c.listed ? 0 : c.dilation * (c.kernel_h / 2);
  const int centre_w = c.listed ? 0 : c.dilation * (c.kernel_w / 2);
  const int height = bottom.shape(2), width = bottom.shape(3);
  const int out_h = (height + 2 * c.pad_h - kh) / c.stride_h + 1;
  const int out_w = (width + 2 * c.pad_w - kw) / c.stride_w + 1;
  const int K = c.synapses(), per_group = c.channels / c.groups;
  std::vector<double> output;
  for (int n = 0; n < bottom.shape(0); ++n) {
    for (int d = 0; d < c.outputs; ++d) {
      const int first = d / (c.outputs / c.groups) * per_group;  // channel of the group
      for (int m = 0; m < out_h; ++m) {
        for (int l = 0; l < out_w; ++l) {
          double sum = bias ? blobs[1]->cpu_data()[d] : 0;
          for (int ch = first; ch < first + per_group; ++ch) {
            const Dtype* plane = bottom.cpu_data() + bottom.offset(n, ch);
            for (int k = 0; k < K; ++k) {
              const int position = c.set_of(ch, d) * K + k;
              const double row = m * c.stride_h - c.pad_h + centre_h + double(blobs[3]->cpu_data()[position]);
              const double column = l * c.stride_w - c.pad_w + centre_w + double(blobs[2]->cpu_data()[position]);
              if (std::abs(row) > 1e6 || std::abs(column) > 1e6) continue;
              sum += blobs[0]->cpu_data()[(d * per_group + ch - first) * K + k] *
                     Interpolate(plane, height, width, row, column);
            }
          }
          output.push_back(sum);
        }
      }
    }
  }
  return output;
}

template <typename Dtype>
void ExpectNear(const std::vector<double>& expected, const Dtype* actual, double tolerance) {
  for (size_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(expected[i], actual[i], tolerance * std::max(1.0, std::abs(expected[i]))) << "at " << i;
  }
}

/// A tolerance in units of float rounding, scaled to the type.
template <typename Dtype>
constexpr double Tolerance() { return sizeof(Dtype) == 4 ? 1e-4 : 1e-11; }

}  // namespace caffe

#endif  // CAFFE_ACU_TESTS_ACTIVE_CASE_HPP_
