// The authors' dialect: where its synapses start, and that it computes what ACUs of ours compute.
#include <string>
#include <vector>

#include "caffe_acu/layers/aconv_fast_layer.hpp"
#include "caffe_acu/layers/acu_layer.hpp"
#include "caffe/test/test_gradient_check_util.hpp"
#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"

namespace caffe {

template <typename TypeParam>
class AConvFastLayerTest : public MultiDeviceTest<TypeParam> {
 protected:
  typedef typename TypeParam::Dtype Dtype;
  typedef std::vector<Blob<Dtype>*> Blobs;

  AConvFastLayerTest() : bottom_(2, 3, 6, 7), bottoms_{&bottom_}, tops_{&top_} { FillGaussian(&bottom_, 1); }

  shared_ptr<Layer<Dtype>> Make(const std::string& convolution, const std::string& aconv) {
    LayerParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(
        "name: 'a' type: 'AConvFast' convolution_param { weight_filler { type: 'gaussian' std: 1 } bias_filler "
        "{ type: 'gaussian' std: 1 } " + convolution + " } aconv_param { " + aconv + " }", &param));
    shared_ptr<Layer<Dtype>> layer = LayerRegistry<Dtype>::CreateLayer(param);
    layer->SetUp(bottoms_, tops_);
    return layer;
  }
  static void ExpectPositions(Layer<Dtype>* layer, const std::vector<double>& x, const std::vector<double>& y) {
    ASSERT_EQ(layer->blobs()[2]->count(), static_cast<int>(x.size()));
    for (size_t k = 0; k < x.size(); ++k) {
      EXPECT_NEAR(layer->blobs()[2]->cpu_data()[k], x[k], 1e-6) << k;
      EXPECT_NEAR(layer->blobs()[3]->cpu_data()[k], y[k], 1e-6) << k;
    }
  }

  Blob<Dtype> bottom_, top_;
  Blobs bottoms_, tops_;
};

TYPED_TEST_CASE(AConvFastLayerTest, TestDtypesAndDevices);

TYPED_TEST(AConvFastLayerTest, RoundedRingIsTheLatticeCounterClockwise) {
  const auto layer = this->Make("num_output: 4 kernel_size: 3 pad: 1", "pos_filler_std: -1");
  this->ExpectPositions(layer.get(), {0, 1, 1, 0, -1, -1, -1, 0, 1}, {0, 0, 1, 1, 1, 0, -1, -1, -1});
  EXPECT_EQ(this->top_.shape(), (std::vector<int>{2, 4, 6, 7}));
}

TYPED_TEST(AConvFastLayerTest, RadiusAndAngle) {
  const double s = 3 * std::sqrt(0.5);
  const auto layer = this->Make("num_output: 4 kernel_h: 1 kernel_w: 5",
                                "pos_filler_std: 0 base_radius: 3 base_angle: 0.78539816339 type: CIRCLE");
  this->ExpectPositions(layer.get(), {0, s, -s, -s, s}, {0, s, s, -s, -s});
}

TYPED_TEST(AConvFastLayerTest, NoiseIsInUnitsOfTheRadiusAndSparesTheOrigin) {
  Caffe::set_random_seed(3);
  const auto layer = this->Make("num_output: 4 kernel_size: 5 pad: 2", "base_radius: 4 pos_filler_std: 0.25");
  double sum_of_squares = 0;
  for (int k = 0; k < 25; ++k) {
    const double t = 2 * M_PI * (k - 1) / 24, radius = k ? 4 : 0;
    const double dx = layer->blobs()[2]->cpu_data()[k] - radius * std::cos(t);
    const double dy = layer->blobs()[3]->cpu_data()[k] - radius * std::sin(t);
    sum_of_squares += dx * dx + dy * dy;
    if (k == 0) {
      EXPECT_TRUE(dx == 0 && dy == 0);
    }
  }
  EXPECT_NEAR(sum_of_squares, 48, 30);  // 48 values of variance 1
}

TYPED_TEST(AConvFastLayerTest, SizesOfTheTypes) {
  this->Make("num_output: 4 kernel_size: 3 stride: 2", "");
  EXPECT_EQ(this->top_.shape(), (std::vector<int>{2, 4, 2, 3}));
  // (in + 2 pad - 1) / stride + 1, whatever K, and convolution_param.pad does not count.
  this->Make("num_output: 4 kernel_size: 3 stride: 2 pad: 7", "type: CIRCLE pad: 1");
  EXPECT_EQ(this->top_.shape(), (std::vector<int>{2, 4, 4, 5}));
  this->Make("num_output: 4 kernel_size: 3", "type: RANDOM pad_h: 2 pad_w: 1");
  EXPECT_EQ(this->top_.shape(), (std::vector<int>{2, 4, 10, 9}));
}

TYPED_TEST(AConvFastLayerTest, ForwardIsEquation5) {
  typedef typename TypeParam::Dtype Dtype;
  for (int groups : {1, 2, 4}) {
    ActiveCase c;
    c.stride_h = c.stride_w = 2;
    c.sets = groups;
    c.sets_slice_outputs = true;
    const auto layer = this->Make("num_output: 4 kernel_size: 3 pad: 1 stride: 2",
                                  "position_group: " + std::to_string(groups));
    Displace(c, layer.get(), 2);
    layer->Forward(this->bottoms_, this->tops_);
    ExpectNear(ReferenceForward<Dtype>(c, this->bottom_, layer->blobs()), this->top_.cpu_data(),
               Tolerance<Dtype>());
  }
}

TYPED_TEST(AConvFastLayerTest, GradientsMatchFiniteDifferences) {
  typedef typename TypeParam::Dtype Dtype;
  for (const char* aconv : {"position_group: 2", "type: CIRCLE pad: 1"}) {
    const auto layer = this->Make("num_output: 4 kernel_size: 3 pad: 1 bias_term: false", aconv);
    // On a common offset, clear of lattice lines.
    for (int b : {2, 3}) {
      for (int k = 0; k < layer->blobs()[b]->count(); ++k) {
        layer->blobs()[b]->mutable_cpu_data()[k] = k % 3 - 0.7 + 0.03 * k;
      }
    }
    GradientChecker<Dtype> checker(5e-2, sizeof(Dtype) == 4 ? 1e-2 : 1e-6);
    checker.CheckGradientSingle(layer.get(), this->bottoms_, this->tops_, -1, -1, -1);
  }
}

// The authors' layer and ours with its synapses in another order are the same function.
TYPED_TEST(AConvFastLayerTest, RingOrderIsRasterOrderPermuted) {
  typedef typename TypeParam::Dtype Dtype;
  const int raster_of_ring[9] = {4, 5, 8, 7, 6, 3, 0, 1, 2};
  const auto ring = this->Make("num_output: 4 kernel_size: 3 pad: 1", "pos_filler_std: -1");
  ring->Forward(this->bottoms_, this->tops_);
  const std::vector<double> expected(this->top_.cpu_data(), this->top_.cpu_data() + this->top_.count());
  ActiveCase c;
  ACULayer<Dtype> raster(MakeLayerParameter(c, "ACU"));
  raster.SetUp(this->bottoms_, this->tops_);
  raster.blobs()[1]->CopyFrom(*ring->blobs()[1]);
  for (int k = 0; k < 9; ++k) {
    for (int dc = 0; dc < 12; ++dc) {
      raster.blobs()[0]->mutable_cpu_data()[dc * 9 + raster_of_ring[k]] = ring->blobs()[0]->cpu_data()[dc * 9 + k];
    }
    EXPECT_EQ(raster.blobs()[2]->cpu_data()[raster_of_ring[k]], ring->blobs()[2]->cpu_data()[k]);
    EXPECT_EQ(raster.blobs()[3]->cpu_data()[raster_of_ring[k]], ring->blobs()[3]->cpu_data()[k]);
  }
  raster.Forward(this->bottoms_, this->tops_);
  ExpectNear(expected, this->top_.cpu_data(), Tolerance<Dtype>());
}

TYPED_TEST(AConvFastLayerTest, RuleForTheSolver) {
  const auto layer = this->Make("num_output: 4 kernel_size: 3", "normalize: true");
  const PositionRule rule = dynamic_cast<HasPositions&>(*layer).position_rule();
  EXPECT_EQ(rule.fixed_synapse, 0);
  EXPECT_TRUE(rule.normalize);
  EXPECT_FALSE(dynamic_cast<HasPositions&>(*this->Make("num_output: 4 kernel_size: 3", "")).position_rule().normalize);
}

TYPED_TEST(AConvFastLayerTest, MistakesAreNamed) {
  EXPECT_ERROR(this->Make("num_output: 4 kernel_size: 3", "position_group: 3"),
               "AConvFast layer 'a': 3 position sets do not divide num_output 4");
  EXPECT_ERROR(this->Make("num_output: 4 kernel_size: 3", "position_group: 0"), "position_group is 0");
  EXPECT_ERROR(this->Make("num_output: 4 kernel_size: 3 group: 2", ""), "group is 2; the authors' layer has one");
  EXPECT_ERROR(this->Make("num_output: 4 kernel_size: 3 dilation: 2", ""), "dilation is not 1");
  EXPECT_ERROR(this->Make("num_output: 4", ""), "kernel_size is missing");
}

}  // namespace caffe
