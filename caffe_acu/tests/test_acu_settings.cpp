// How a prototxt becomes an ACU: start positions, and one clear sentence for what cannot be.
#include <string>
#include <vector>

#include "caffe_acu/layers/acu_layer.hpp"
#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"

namespace caffe {

class ACUSettingsTest : public CPUDeviceTest<double> {
 protected:
  // A layer on a 2 x 3 x 5 x 6 bottom.
  static shared_ptr<Layer<double>> Make(const std::string& convolution, const std::string& acu,
                                        const std::string& more = "") {
    LayerParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(
        "name: 'conv9' type: 'ACU' convolution_param { " + convolution + " } acu_param { " + acu + " } " + more,
        &param));
    shared_ptr<Layer<double>> layer = LayerRegistry<double>::CreateLayer(param);
    Blob<double> bottom(2, 3, 5, 6), top;
    layer->SetUp({&bottom}, {&top});
    return layer;
  }
  static std::vector<double> Axis(const Layer<double>& layer, int blob) {
    const Blob<double>& b = *const_cast<Layer<double>&>(layer).blobs()[blob];
    return {b.cpu_data(), b.cpu_data() + b.count()};
  }
  typedef std::vector<double> Values;
  typedef std::vector<int> Shape;
};

TEST_F(ACUSettingsTest, LatticeInRasterOrder) {
  const auto layer = Make("num_output: 2 kernel_size: 3 pad: 1", "");
  EXPECT_EQ(Axis(*layer, 2), (Values{-1, 0, 1, -1, 0, 1, -1, 0, 1}));
  EXPECT_EQ(Axis(*layer, 3), (Values{-1, -1, -1, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(layer->blobs()[0]->shape(), (Shape{2, 3, 3, 3}));
  EXPECT_EQ(layer->blobs()[1]->shape(), (Shape{2}));
  EXPECT_EQ(layer->blobs()[2]->shape(), (Shape{1, 1, 3, 3}));
}

TEST_F(ACUSettingsTest, EvenAndNonSquareKernelsAreMeasuredFromTapKDiv2) {
  const auto layer = Make("num_output: 2 kernel_h: 2 kernel_w: 3", "");
  EXPECT_EQ(Axis(*layer, 2), (Values{-1, 0, 1, -1, 0, 1}));
  EXPECT_EQ(Axis(*layer, 3), (Values{-1, -1, -1, 0, 0, 0}));
}

TEST_F(ACUSettingsTest, DilationOfTheConvolutionAndOfThePositionsMultiply) {
  const auto layer = Make("num_output: 2 kernel_h: 1 kernel_w: 3 dilation: 2", "dilation: 0.75");
  EXPECT_EQ(Axis(*layer, 2), (Values{-1.5, 0, 1.5}));
}

TEST_F(ACUSettingsTest, ListedPositionsMakeTheKernel) {
  const auto layer = Make("num_output: 2 bias_term: false",
                          "num_synapses: 2 position { x: 1.5 y: -2 } position { } dilation: 2");
  EXPECT_EQ(layer->blobs()[0]->shape(), (Shape{2, 3, 1, 2}));
  EXPECT_EQ(layer->blobs()[1]->shape(), (Shape{1, 1, 1, 1}));
  EXPECT_EQ(layer->blobs()[1]->cpu_data()[0], 0);
  EXPECT_EQ(Axis(*layer, 2), (Values{3, 0}));
  EXPECT_EQ(Axis(*layer, 3), (Values{-4, 0}));
}

TEST_F(ACUSettingsTest, NoiseSparesTheFixedSynapse) {
  Caffe::set_random_seed(5);
  const auto layer = Make("num_output: 2 kernel_size: 3", "position_noise: 0.1");
  const Values x = Axis(*layer, 2), y = Axis(*layer, 3);
  double sum_of_squares = 0;
  for (int k = 0; k < 9; ++k) {
    const double dx = x[k] - (k % 3 - 1), dy = y[k] - (k / 3 - 1);
    if (k == 4) {
      EXPECT_TRUE(dx == 0 && dy == 0);
    } else {
      EXPECT_TRUE(dx != 0 && dy != 0);
    }
    sum_of_squares += dx * dx + dy * dy;
  }
  // 16 values of variance 0.01: chi-square, here within a factor of 2.5.
  EXPECT_GT(sum_of_squares, 0.16 / 2.5);
  EXPECT_LT(sum_of_squares, 0.16 * 2.5);

  const auto none_fixed = Make("num_output: 2 kernel_size: 3", "position_noise: 0.1 fixed_synapse: -1");
  EXPECT_NE(Axis(*none_fixed, 2)[4], 0);
  const auto other_fixed = Make("num_output: 2 kernel_size: 3", "position_noise: 0.1 fixed_synapse: 2");
  EXPECT_EQ(Axis(*other_fixed, 2)[2], 1);
  EXPECT_NE(Axis(*other_fixed, 2)[4], 0);
}

TEST_F(ACUSettingsTest, RuleForTheSolver) {
  const auto rule = [](const std::string& acu) {
    return dynamic_cast<ACULayer<double>&>(*Make("num_output: 2 kernel_size: 3", acu)).position_rule();
  };
  EXPECT_TRUE(rule("") == PositionRule());
  const PositionRule r = rule("fixed_synapse: 3 learn_positions: false normalize_gradient: false warmup_iter: 7");
  EXPECT_EQ(r.fixed_synapse, 3);
  EXPECT_FALSE(r.learn);
  EXPECT_FALSE(r.normalize);
  EXPECT_EQ(r.warmup_iter, 7);
  EXPECT_EQ(rule("fixed_synapse: -1").fixed_synapse, PositionRule::kNone);
}

TEST_F(ACUSettingsTest, MistakesAreNamed) {
  const std::string ok = "num_output: 2 kernel_size: 3";
  const std::string layer = "ACU layer 'conv9': .*";
  EXPECT_ERROR(Make(ok, "num_synapses: -3"), layer + "num_synapses is -3; K must be positive");
  EXPECT_ERROR(Make(ok, "num_synapses: 5"), layer + "num_synapses is 5, but the kernel has 9");
  EXPECT_ERROR(Make("num_output: 2", "num_synapses: 3 position { x: 1 } position { }"),
               layer + "num_synapses is 3, but acu_param.position lists 2");
  EXPECT_ERROR(Make(ok, "fixed_synapse: 9"), layer + "fixed_synapse is 9; the synapses are 0 to 8");
  EXPECT_ERROR(Make(ok, "fixed_synapse: -2"), layer + "fixed_synapse is -2");
  EXPECT_ERROR(Make(ok, "position { x: 1 }"), layer + "leave kernel_size out");
  EXPECT_ERROR(Make("num_output: 2", ""), layer + "give convolution_param.kernel_size or list");
  EXPECT_ERROR(Make("num_output: 2 kernel_size: 0", ""), layer + "kernel_size must be at least 1");
  EXPECT_ERROR(Make("num_output: 2 kernel_size: 3 stride: 0", ""), layer + "stride must be at least 1");
  EXPECT_ERROR(Make("num_output: 2 kernel_size: 3 pad: 1 pad: 2 pad: 3", ""), layer + "pad has 3 values");
  EXPECT_ERROR(Make("num_output: 2 kernel_h: 3", ""), layer + "kernel_size_h and _w belong together");
  EXPECT_ERROR(Make("num_output: 2 kernel_size: 3 kernel_h: 3 kernel_w: 3", ""), layer + "given twice");
  EXPECT_ERROR(Make("kernel_size: 3", ""), layer + "num_output is missing or 0");
  EXPECT_ERROR(Make("num_output: 2 kernel_size: 3 group: 2", ""), layer + "group is 2; an ACU has one group");
  EXPECT_ERROR(Make("num_output: 2 kernel_size: 7", ""), layer + "height 5, with pad 0 less than the kernel's 7");
  EXPECT_ERROR(Make(ok, "dilation: 0"), layer + "dilation is 0; it must be positive");
  EXPECT_ERROR(Make(ok, "position_noise: -1"), layer + "position_noise is -1");
  EXPECT_ERROR(Make(ok, "warmup_iter: -1"), layer + "warmup_iter is -1");
  EXPECT_ERROR(Make("num_output: 2", "position { x: inf }"), layer + "not a finite number");
  EXPECT_ERROR(Make(ok, "", "blobs { shape { dim: 1 } data: 0 }"), layer + "it comes with 1 blobs; it has 4");
  EXPECT_ERROR(Make(ok + " axis: 2", ""), layer + "axis is 2; only 1");
}

}  // namespace caffe
