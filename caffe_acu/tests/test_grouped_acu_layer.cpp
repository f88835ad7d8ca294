// What groups add to the ACU. Every property of test_acu_layer.cpp is checked on groups there too.
#include <string>
#include <vector>

#include "caffe_acu/layers/grouped_acu_layer.hpp"
#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"

namespace caffe {

template <typename TypeParam>
class GroupedACULayerTest : public MultiDeviceTest<TypeParam> {
 protected:
  typedef typename TypeParam::Dtype Dtype;
  typedef std::vector<Blob<Dtype>*> Blobs;

  // A layer on random data, after a forward and a backward pass.
  struct Pass {
    Pass(const ActiveCase& c, const std::string& type)
        : bottom(c.images, c.channels, c.height, c.width), bottoms{&bottom}, tops{&top},
          layer(LayerRegistry<Dtype>::CreateLayer(MakeLayerParameter(c, type))) {
      FillGaussian(&bottom, 1);
      layer->SetUp(bottoms, tops);
      Displace(c, layer.get(), 2);
      for (auto& blob : layer->blobs()) caffe_set(blob->count(), Dtype(0), blob->mutable_cpu_diff());
    }
    void Run() {
      layer->Forward(bottoms, tops);
      FillGaussian(&top, 3, true);
      layer->Backward(tops, {true}, bottoms);
    }
    Blob<Dtype> bottom, top;
    Blobs bottoms, tops;
    shared_ptr<Layer<Dtype>> layer;
  };

  // Checks data or diff of `part` against a slice of axis 1 of `whole`.
  static void ExpectSlice(const Blob<Dtype>& whole, const Blob<Dtype>& part, int first, bool diff) {
    for (int n = 0; n < part.shape(0); ++n) {
      const int from = whole.offset(n, first), size = part.count(1);
      const Dtype* w = (diff ? whole.cpu_diff() : whole.cpu_data()) + from;
      const Dtype* p = (diff ? part.cpu_diff() : part.cpu_data()) + n * size;
      ExpectNear({p, p + size}, w, Tolerance<Dtype>());
    }
  }
};

TYPED_TEST_CASE(GroupedACULayerTest, TestDtypesAndDevices);

// Equation 6: G groups with a set each are G ACUs side by side, forward and in all gradients.
TYPED_TEST(GroupedACULayerTest, IsTheConcatenationOfACUs) {
  typedef typename TypeParam::Dtype Dtype;
  for (const int groups : {2, 3, 6}) {  // 6: depthwise
    SCOPED_TRACE(groups);
    ActiveCase c;
    c.channels = 6;
    c.outputs = 12;
    c.groups = c.sets = groups;
    typename TestFixture::Pass whole(c, "GroupedACU");
    whole.Run();
    ActiveCase slice = c;
    slice.groups = slice.sets = 1;
    slice.channels /= groups;
    slice.outputs /= groups;
    for (int g = 0; g < groups; ++g) {
      typename TestFixture::Pass part(slice, "ACU");
      for (int n = 0; n < c.images; ++n) {
        caffe_copy(part.bottom.count(1), whole.bottom.cpu_data() + whole.bottom.offset(n, g * slice.channels),
                   part.bottom.mutable_cpu_data() + part.bottom.offset(n));
      }
      for (int b = 0; b < 4; ++b) {
        Blob<Dtype>& blob = *part.layer->blobs()[b];
        caffe_copy(blob.count(), whole.layer->blobs()[b]->cpu_data() + g * blob.count(), blob.mutable_cpu_data());
      }
      part.layer->Forward(part.bottoms, part.tops);
      for (int n = 0; n < c.images; ++n) {
        caffe_copy(part.top.count(1), whole.top.cpu_diff() + whole.top.offset(n, g * slice.outputs),
                   part.top.mutable_cpu_diff() + part.top.offset(n));
      }
      part.layer->Backward(part.tops, {true}, part.bottoms);
      TestFixture::ExpectSlice(whole.top, part.top, g * slice.outputs, false);
      TestFixture::ExpectSlice(whole.bottom, part.bottom, g * slice.channels, true);
      for (int b = 0; b < 4; ++b) {
        const Blob<Dtype>& blob = *part.layer->blobs()[b];
        ExpectNear({blob.cpu_diff(), blob.cpu_diff() + blob.count()},
                   whole.layer->blobs()[b]->cpu_diff() + g * blob.count(), Tolerance<Dtype>());
      }
    }
  }
}

// One set for all groups is what as many equal sets are; its gradient is the sum of theirs.
TYPED_TEST(GroupedACULayerTest, ASharedSetIsEqualSets) {
  typedef typename TypeParam::Dtype Dtype;
  for (const int groups : {1, 2, 6}) {
    SCOPED_TRACE(groups);
    ActiveCase c;
    c.channels = c.outputs = 6;
    c.groups = groups;
    c.sets = 6;
    typename TestFixture::Pass multi(c, "GroupedACU");
    c.sets = 1;
    typename TestFixture::Pass share(c, "GroupedACU");
    share.layer->blobs()[0]->CopyFrom(*multi.layer->blobs()[0]);
    share.layer->blobs()[1]->CopyFrom(*multi.layer->blobs()[1]);
    for (int b : {2, 3}) {
      for (int s = 0; s < 6; ++s) {
        caffe_copy(9, share.layer->blobs()[b]->cpu_data(), multi.layer->blobs()[b]->mutable_cpu_data() + 9 * s);
      }
    }
    multi.Run();
    share.Run();
    ExpectNear({multi.top.cpu_data(), multi.top.cpu_data() + multi.top.count()}, share.top.cpu_data(),
               Tolerance<Dtype>());
    for (int b : {2, 3}) {
      std::vector<double> sum(9);
      for (int i = 0; i < 54; ++i) sum[i % 9] += multi.layer->blobs()[b]->cpu_diff()[i];
      ExpectNear(sum, share.layer->blobs()[b]->cpu_diff(), Tolerance<Dtype>());
    }
  }
}

TYPED_TEST(GroupedACULayerTest, OneGroupWithOneSetIsTheACU) {
  ActiveCase c;
  typename TestFixture::Pass acu(c, "ACU"), grouped(c, "GroupedACU");
  for (int b = 0; b < 4; ++b) grouped.layer->blobs()[b]->CopyFrom(*acu.layer->blobs()[b]);
  acu.Run();
  grouped.Run();
  for (int i = 0; i < acu.top.count(); ++i) EXPECT_EQ(acu.top.cpu_data()[i], grouped.top.cpu_data()[i]);
  for (int b = 0; b < 4; ++b) {
    for (int i = 0; i < acu.layer->blobs()[b]->count(); ++i) {
      EXPECT_EQ(acu.layer->blobs()[b]->cpu_diff()[i], grouped.layer->blobs()[b]->cpu_diff()[i]);
    }
  }
}

// torchvision's deform_conv2d with offsets that are the same everywhere: offset (N, 2 * offset_groups * K, H', W')
// with the vertical one first, measured from the tap (i, j) of the kernel; samples are 0 from a whole pixel
// outside of the image, and neighbours outside count 0.
TYPED_TEST(GroupedACULayerTest, IsADeformableConvolutionWithConstantOffsets) {
  typedef typename TypeParam::Dtype Dtype;
  for (const GroupedCase& g : GroupedCases()) {
    ActiveCase c;
    c.channels = 6;
    c.groups = g.groups;
    c.sets = g.sets;
    c.outputs = g.outputs;
    c.stride_h = c.stride_w = g.stride;
    SCOPED_TRACE(std::to_string(g.groups) + " groups, " + std::to_string(g.sets) + " sets");
    typename TestFixture::Pass pass(c, "GroupedACU");
    pass.layer->Forward(pass.bottoms, pass.tops);
    const auto& blobs = pass.layer->blobs();

    const int out_h = pass.top.shape(2), out_w = pass.top.shape(3), H = c.height, W = c.width;
    Blob<double> offset(c.images, 2 * c.sets * 9, out_h, out_w);
    for (int i = 0; i < offset.count(); ++i) {
      const int channel = i / (out_h * out_w) % offset.shape(1);
      const int synapse = channel / 2 % 9, set = channel / 18;
      const bool vertical = channel % 2 == 0;
      offset.mutable_cpu_data()[i] = double(blobs[vertical ? 3 : 2]->cpu_data()[set * 9 + synapse]) -
                                     (vertical ? synapse / 3 - 1 : synapse % 3 - 1);
    }
    const auto bilinear = [&](const Dtype* plane, double y, double x) {
      if (y <= -1 || y >= H || x <= -1 || x >= W) return 0.0;
      const int y0 = std::floor(y), x0 = std::floor(x);
      const double ly = y - y0, lx = x - x0;
      const auto pixel = [&](int i, int j) { return i < 0 || i >= H || j < 0 || j >= W ? 0.0 : plane[i * W + j]; };
      return (1 - ly) * ((1 - lx) * pixel(y0, x0) + lx * pixel(y0, x0 + 1)) +
             ly * ((1 - lx) * pixel(y0 + 1, x0) + lx * pixel(y0 + 1, x0 + 1));
    };
    const int in_group = c.channels / c.groups, out_group = c.outputs / c.groups, in_offset_group = c.channels / c.sets;
    std::vector<double> expected;
    for (int n = 0; n < c.images; ++n) {
      for (int d = 0; d < c.outputs; ++d) {
        for (int i = 0; i < out_h; ++i) {
          for (int j = 0; j < out_w; ++j) {
            double sum = blobs[1]->cpu_data()[d];
            for (int ic = 0; ic < in_group; ++ic) {
              const int channel = d / out_group * in_group + ic, offset_group = channel / in_offset_group;
              for (int k = 0; k < 9; ++k) {
                const int at = 2 * (offset_group * 9 + k);
                const double y = i * c.stride_h - c.pad_h + k / 3 + offset.data_at(n, at, i, j);
                const double x = j * c.stride_w - c.pad_w + k % 3 + offset.data_at(n, at + 1, i, j);
                sum += blobs[0]->cpu_data()[(d * in_group + ic) * 9 + k] *
                       bilinear(pass.bottom.cpu_data() + pass.bottom.offset(n, channel), y, x);
              }
            }
            expected.push_back(sum);
          }
        }
      }
    }
    ExpectNear(expected, pass.top.cpu_data(), Tolerance<Dtype>());
  }
}

class GroupedACUSettingsTest : public CPUDeviceTest<double> {
 protected:
  // A layer on a 2 x 12 x 5 x 6 bottom.
  static shared_ptr<Layer<double>> Make(const std::string& convolution, const std::string& acu,
                                        const std::string& type = "GroupedACU") {
    LayerParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(
        "name: 'g' type: '" + type + "' convolution_param { " + convolution + " } acu_param { " + acu + " }", &param));
    shared_ptr<Layer<double>> layer = LayerRegistry<double>::CreateLayer(param);
    Blob<double> bottom(2, 12, 5, 6), top;
    layer->SetUp({&bottom}, {&top});
    return layer;
  }
  typedef std::vector<int> Shape;
};

TEST_F(GroupedACUSettingsTest, BlobsHaveAGroupsChannelsAndAllSets) {
  const auto nested = Make("num_output: 8 kernel_size: 3 group: 4", "position_group: 2");
  EXPECT_EQ(nested->blobs()[0]->shape(), (Shape{8, 3, 3, 3}));
  EXPECT_EQ(nested->blobs()[1]->shape(), (Shape{8}));
  EXPECT_EQ(nested->blobs()[2]->shape(), (Shape{2, 1, 3, 3}));
  // As many sets as groups unless told otherwise.
  EXPECT_EQ(Make("num_output: 8 kernel_size: 3 group: 4", "")->blobs()[3]->shape(), (Shape{4, 1, 3, 3}));
  EXPECT_EQ(Make("num_output: 8 kernel_size: 3", "")->blobs()[3]->shape(), (Shape{1, 1, 3, 3}));
}

TEST_F(GroupedACUSettingsTest, EverySetStartsAtTheListedPositions) {
  const auto layer = Make("num_output: 6 group: 6", "position { x: 1.5 y: -2 } position { }");
  for (int s = 0; s < 6; ++s) {
    EXPECT_EQ(layer->blobs()[2]->cpu_data()[2 * s], 1.5);
    EXPECT_EQ(layer->blobs()[3]->cpu_data()[2 * s], -2);
    EXPECT_EQ(layer->blobs()[2]->cpu_data()[2 * s + 1], 0);
  }
}

TEST_F(GroupedACUSettingsTest, NoiseIsDrawnForEverySet) {
  Caffe::set_random_seed(5);
  const auto layer = Make("num_output: 4 kernel_size: 3 group: 2", "position_noise: 0.1");
  const double* x = layer->blobs()[2]->cpu_data();
  for (int k = 0; k < 9; ++k) EXPECT_EQ(x[k] == x[9 + k], k == 4) << k;  // only the origin is the same
}

TEST_F(GroupedACUSettingsTest, MistakesAreNamed) {
  const std::string layer = "GroupedACU layer 'g': .*";
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3 group: 5", ""),
               layer + "5 convolution groups do not divide both 12 input channels and num_output 8");
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3 group: 3", ""),
               layer + "3 convolution groups do not divide both 12 input channels and num_output 8");
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3 group: 4", "position_group: 5"),
               layer + "5 position sets do not divide 12 input channels");
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3", "position_group: 0"), layer + "position_group is 0");
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3", "position_group: -2"), layer + "position_group is -2");
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3 group: 0", ""), layer + "group is 0");
  EXPECT_ERROR(Make("num_output: 8 kernel_size: 3", "position_group: 2", "ACU"),
               "ACU layer 'g': .*position_group is 2; an ACU has one position set, use type GroupedACU");
}

}  // namespace caffe
