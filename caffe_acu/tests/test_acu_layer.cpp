// The ACU's mathematics: forward against loops, gradients against finite differences, and its relations
// to the ordinary convolution.
#include <vector>

#include "caffe/layers/conv_layer.hpp"
#include "caffe/test/test_gradient_check_util.hpp"
#include "caffe_acu/layers/grouped_acu_layer.hpp"
#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {

template <typename TypeParam>
class ACULayerTest : public MultiDeviceTest<TypeParam> {
 protected:
  typedef typename TypeParam::Dtype Dtype;
  typedef std::vector<Blob<Dtype>*> Blobs;

  // A layer that is set up on random data, at random positions off the lattice.
  struct Fixture {
    explicit Fixture(const ActiveCase& c, bool bias = true)
        : bottom(c.images, c.channels, c.height, c.width),
          bottoms{&bottom}, tops{&top},
          created(LayerRegistry<Dtype>::CreateLayer(MakeLayerParameter(c, c.type(), bias))), layer(*created) {
      FillGaussian(&bottom, 1);
      Caffe::set_random_seed(1701);
      layer.SetUp(bottoms, tops);
      Displace(c, &layer, 2);
    }
    Blob<Dtype> bottom, top;
    Blobs bottoms, tops;
    shared_ptr<Layer<Dtype>> created;
    Layer<Dtype>& layer;
  };

  static std::vector<Dtype> Data(const Blob<Dtype>& blob) {
    return {blob.cpu_data(), blob.cpu_data() + blob.count()};
  }
  static std::vector<Dtype> Diff(const Blob<Dtype>& blob) {
    return {blob.cpu_diff(), blob.cpu_diff() + blob.count()};
  }
  // More images than chunks of them, and more channels than a block has, on all paths.
  static std::vector<ActiveCase> LargeCases() {
    ActiveCase c;
    c.name = "37 images";
    c.images = 37;
    std::vector<ActiveCase> cases = {c};
    c.images = 5;
    c.channels = c.outputs = 40;
    c.name = "40 channels";
    cases.push_back(c);
    c.groups = c.sets = 40;
    c.name = "40 channels, depthwise";
    cases.push_back(c);
    c.groups = 2;
    c.sets = 5;
    c.name = "2 groups of 20 channels, 5 sets";
    cases.push_back(c);
    c.channels = 80;
    c.name = "2 groups of 40 channels, 5 sets";
    cases.push_back(c);
    return cases;
  }
  static void ZeroDiffs(Layer<Dtype>* layer) {
    for (auto& blob : layer->blobs()) caffe_set(blob->count(), Dtype(0), blob->mutable_cpu_diff());
  }
  // Runs forward and backward from a fixed output gradient.
  static void ForwardBackward(Fixture* f, bool propagate_down = true) {
    f->layer.Forward(f->bottoms, f->tops);
    FillGaussian(&f->top, 3, true);
    f->layer.Backward(f->tops, {propagate_down}, f->bottoms);
  }
};

TYPED_TEST_CASE(ACULayerTest, TestDtypesAndDevices);

TYPED_TEST(ACULayerTest, ForwardIsEquation5) {
  typedef typename TypeParam::Dtype Dtype;
  for (const ActiveCase& c : ActiveCases()) {
    for (bool bias : {true, false}) {
      SCOPED_TRACE(c.name);
      typename TestFixture::Fixture f(c, bias);
      f.layer.Forward(f.bottoms, f.tops);
      const std::vector<double> expected = ReferenceForward<Dtype>(c, f.bottom, f.layer.blobs(), bias);
      ASSERT_EQ(f.top.count(), static_cast<int>(expected.size()));
      ExpectNear(expected, f.top.cpu_data(), Tolerance<Dtype>());
    }
  }
}

// The outputs are linear in each parameter alone (between lattice lines), the checker's objective
// therefore quadratic: a central difference is exact for any step, and a long one rounds least.
TYPED_TEST(ACULayerTest, GradientsMatchFiniteDifferences) {
  typedef typename TypeParam::Dtype Dtype;
  for (const ActiveCase& c : ActiveCases()) {
    for (bool bias : {true, false}) {
      SCOPED_TRACE(c.name);
      typename TestFixture::Fixture f(c, bias);
      GradientChecker<Dtype> checker(5e-2, sizeof(Dtype) == 4 ? 2e-2 : 1e-6);
      checker.CheckGradientSingle(&f.layer, f.bottoms, f.tops, -1, -1, -1);
    }
  }
}

// Every output on its own, where a sum over outputs could hide an error.
TYPED_TEST(ACULayerTest, GradientsOfSingleOutputs) {
  typedef typename TypeParam::Dtype Dtype;
  ActiveCase c;
  c.channels = c.outputs = 2;
  c.height = c.width = 4;
  c.stride_h = 2;
  typename TestFixture::Fixture f(c);
  GradientChecker<Dtype> checker(5e-2, sizeof(Dtype) == 4 ? 2e-2 : 1e-6);
  for (int i = 0; i < f.top.count(); ++i) {
    checker.CheckGradientSingle(&f.layer, f.bottoms, f.tops, -1, 0, i);
  }
}

// A batch that is no multiple of the chunks in which images are summed; the derivative along a random
// direction in all parameters and the input at once.
TYPED_TEST(ACULayerTest, GradientOfALargeBatchAlongADirection) {
  typedef typename TypeParam::Dtype Dtype;
  if (sizeof(Dtype) == 4) return;  // a difference of large sums says nothing in single precision
  for (ActiveCase c : TestFixture::LargeCases()) {
    SCOPED_TRACE(c.name);
    typename TestFixture::Fixture f(c);
    TestFixture::ForwardBackward(&f);
    std::vector<Blob<Dtype>*> blobs = {&f.bottom};
    for (auto& blob : f.layer.blobs()) blobs.push_back(blob.get());
    const Dtype step = 1e-6;
    double analytic = 0, numeric = 0;
    std::vector<Blob<Dtype>> directions(blobs.size());
    for (size_t i = 0; i < blobs.size(); ++i) {
      directions[i].ReshapeLike(*blobs[i]);
      FillGaussian(&directions[i], 10 + i);
      analytic += caffe_cpu_dot(blobs[i]->count(), directions[i].cpu_data(), blobs[i]->cpu_diff());
    }
    const std::vector<Dtype> output_gradient = TestFixture::Diff(f.top);
    for (int sign : {1, -1}) {
      for (size_t i = 0; i < blobs.size(); ++i) {
        caffe_axpy(blobs[i]->count(), sign * (sign < 0 ? 2 : 1) * step, directions[i].cpu_data(),
                   blobs[i]->mutable_cpu_data());
      }
      f.layer.Forward(f.bottoms, f.tops);
      numeric += sign * caffe_cpu_dot(f.top.count(), f.top.cpu_data(), output_gradient.data()) / (2 * step);
    }
    EXPECT_NEAR(analytic, numeric, 1e-5 * std::abs(analytic));
  }
}

TYPED_TEST(ACULayerTest, OnTheLatticeItIsAConvolution) {
  typedef typename TypeParam::Dtype Dtype;
  for (const ActiveCase& c : ActiveCases()) {
    if (c.listed) continue;
    SCOPED_TRACE(c.name);
    typename TestFixture::Fixture f(c);
    shared_ptr<Layer<Dtype>> created = LayerRegistry<Dtype>::CreateLayer(MakeLayerParameter(c, c.type()));
    Layer<Dtype>& fresh = *created;
    fresh.SetUp(f.bottoms, f.tops);  // starts on the lattice
    LayerParameter param = MakeLayerParameter(c, "Convolution");
    param.mutable_convolution_param()->set_engine(ConvolutionParameter_Engine_CAFFE);  // not our code
    ConvolutionLayer<Dtype> convolution(param);
    Blob<Dtype> conv_bottom, conv_top;
    conv_bottom.CopyFrom(f.bottom, false, true);
    typename TestFixture::Blobs conv_bottoms{&conv_bottom}, conv_tops{&conv_top};
    convolution.SetUp(conv_bottoms, conv_tops);
    for (int i : {0, 1}) convolution.blobs()[i]->CopyFrom(*fresh.blobs()[i]);
    ASSERT_EQ(f.top.shape(), conv_top.shape());

    fresh.Forward(f.bottoms, f.tops);
    convolution.Forward(conv_bottoms, conv_tops);
    FillGaussian(&f.top, 3, true);
    FillGaussian(&conv_top, 3, true);
    TestFixture::ZeroDiffs(&fresh);
    TestFixture::ZeroDiffs(&convolution);
    fresh.Backward(f.tops, {true}, f.bottoms);
    convolution.Backward(conv_tops, {true}, conv_bottoms);
    const auto expect_equal = [](const std::vector<Dtype>& expected, const std::vector<Dtype>& actual) {
      ExpectNear({expected.begin(), expected.end()}, actual.data(), Tolerance<Dtype>());
    };
    expect_equal(TestFixture::Data(conv_top), TestFixture::Data(f.top));
    expect_equal(TestFixture::Diff(conv_bottom), TestFixture::Diff(f.bottom));
    for (int i : {0, 1}) {
      expect_equal(TestFixture::Diff(*convolution.blobs()[i]), TestFixture::Diff(*fresh.blobs()[i]));
    }
  }
}

// Equations 12 and 13 as printed take the floor: on a lattice point, the derivative to the right and down.
TYPED_TEST(ACULayerTest, PositionGradientOnTheLatticeIsOneSided) {
  typedef typename TypeParam::Dtype Dtype;
  ActiveCase c;
  typename TestFixture::Fixture f(c);
  ACULayer<Dtype> fresh(MakeLayerParameter(c, "ACU"));
  fresh.SetUp(f.bottoms, f.tops);
  fresh.Forward(f.bottoms, f.tops);
  FillGaussian(&f.top, 3, true);
  TestFixture::ZeroDiffs(&fresh);
  fresh.Backward(f.tops, {false}, f.bottoms);
  const Dtype step = 1e-2;
  const std::vector<double> before = ReferenceForward<Dtype>(c, f.bottom, fresh.blobs());
  for (int blob : {2, 3}) {
    for (int k = 0; k < 9; ++k) {
      fresh.blobs()[blob]->mutable_cpu_data()[k] += step;
      const std::vector<double> after = ReferenceForward<Dtype>(c, f.bottom, fresh.blobs());
      fresh.blobs()[blob]->mutable_cpu_data()[k] -= step;
      double slope = 0;
      for (size_t i = 0; i < before.size(); ++i) slope += f.top.cpu_diff()[i] * (after[i] - before[i]) / step;
      EXPECT_NEAR(slope, fresh.blobs()[blob]->cpu_diff()[k], 1e-3 * std::max(1.0, std::abs(slope)));
    }
  }
}

TYPED_TEST(ACULayerTest, OutputIsContinuousAcrossALatticeLine) {
  typedef typename TypeParam::Dtype Dtype;
  ActiveCase c;
  typename TestFixture::Fixture f(c);
  const Dtype tiny = 1e-5;
  std::vector<std::vector<Dtype>> outputs;
  for (Dtype side : {-tiny, Dtype(0), tiny}) {
    for (int blob : {2, 3}) {
      for (int k = 0; k < 9; ++k) f.layer.blobs()[blob]->mutable_cpu_data()[k] = k % 3 - 1 + side;
    }
    f.layer.Forward(f.bottoms, f.tops);
    outputs.push_back(TestFixture::Data(f.top));
  }
  for (size_t i = 0; i < outputs[0].size(); ++i) {
    EXPECT_NEAR(outputs[0][i], outputs[1][i], 2e-3);
    EXPECT_NEAR(outputs[2][i], outputs[1][i], 2e-3);
  }
}

TYPED_TEST(ACULayerTest, ParameterGradientsAccumulateAndInputGradientsDoNot) {
  typedef typename TypeParam::Dtype Dtype;
  typename TestFixture::Fixture f((ActiveCase()));
  TestFixture::ZeroDiffs(&f.layer);
  TestFixture::ForwardBackward(&f);
  const std::vector<Dtype> input = TestFixture::Diff(f.bottom);
  std::vector<std::vector<Dtype>> once;
  for (auto& blob : f.layer.blobs()) once.push_back(TestFixture::Diff(*blob));
  TestFixture::ForwardBackward(&f);
  EXPECT_EQ(input, TestFixture::Diff(f.bottom));
  for (int b = 0; b < 4; ++b) {
    for (size_t i = 0; i < once[b].size(); ++i) {
      EXPECT_NE(once[b][i], 0);
      EXPECT_FLOAT_EQ(2 * once[b][i], f.layer.blobs()[b]->cpu_diff()[i]);
    }
  }
}

TYPED_TEST(ACULayerTest, GradientsThatNobodyWantsAreLeftAlone) {
  typedef typename TypeParam::Dtype Dtype;
  for (int unwanted = -1; unwanted < 4; ++unwanted) {
    typename TestFixture::Fixture f((ActiveCase()));
    for (auto& blob : f.layer.blobs()) caffe_set(blob->count(), Dtype(7), blob->mutable_cpu_diff());
    caffe_set(f.bottom.count(), Dtype(7), f.bottom.mutable_cpu_diff());
    if (unwanted >= 0) f.layer.set_param_propagate_down(unwanted, false);
    TestFixture::ForwardBackward(&f, unwanted != -1);
    const auto is_untouched = [](const std::vector<Dtype>& diff) {
      return diff == std::vector<Dtype>(diff.size(), Dtype(7));
    };
    EXPECT_EQ(unwanted == -1, is_untouched(TestFixture::Diff(f.bottom)));
    for (int b = 0; b < 4; ++b) {
      EXPECT_EQ(unwanted == b, is_untouched(TestFixture::Diff(*f.layer.blobs()[b]))) << b;
    }
  }
}

TYPED_TEST(ACULayerTest, BottomsMayChangeShapeAndBatchMayBeEmpty) {
  typedef typename TypeParam::Dtype Dtype;
  ActiveCase c;
  typename TestFixture::Fixture f(c);
  f.layer.Forward(f.bottoms, f.tops);
  for (const std::vector<int>& shape : {std::vector<int>{1, 3, 9, 4}, {5, 3, 4, 11}, {0, 3, 6, 5}, {2, 3, 6, 5}}) {
    f.bottom.Reshape(shape);
    if (f.bottom.count()) FillGaussian(&f.bottom, 4);
    f.layer.Forward(f.bottoms, f.tops);
    EXPECT_EQ(f.top.shape(), (std::vector<int>{shape[0], c.outputs, shape[2], shape[3]}));
    if (!f.bottom.count()) {
      TestFixture::ZeroDiffs(&f.layer);
      f.layer.Backward(f.tops, {true}, f.bottoms);
      for (auto& blob : f.layer.blobs()) EXPECT_EQ(blob->asum_diff(), 0);
      continue;
    }
    ExpectNear(ReferenceForward<Dtype>(c, f.bottom, f.layer.blobs()), f.top.cpu_data(), Tolerance<Dtype>());
    FillGaussian(&f.top, 5, true);
    f.layer.Backward(f.tops, {true}, f.bottoms);
  }
}

// Two bottoms, of different sizes, are what two batches one after the other are.
TYPED_TEST(ACULayerTest, SeveralBottomsShareTheParameters) {
  typedef typename TypeParam::Dtype Dtype;
  ActiveCase c;
  typename TestFixture::Fixture one(c);
  Blob<Dtype> bottom2(3, c.channels, 4, 7), top2;
  FillGaussian(&bottom2, 6);

  ACULayer<Dtype> both(MakeLayerParameter(c, "ACU"));
  typename TestFixture::Blobs bottoms{&one.bottom, &bottom2}, tops{&one.top, &top2};
  both.SetUp(bottoms, tops);
  for (int b = 0; b < 4; ++b) both.blobs()[b]->CopyFrom(*one.layer.blobs()[b]);
  TestFixture::ZeroDiffs(&both);
  both.Forward(bottoms, tops);
  ExpectNear(ReferenceForward<Dtype>(c, one.bottom, both.blobs()), one.top.cpu_data(), Tolerance<Dtype>());
  ExpectNear(ReferenceForward<Dtype>(c, bottom2, both.blobs()), top2.cpu_data(), Tolerance<Dtype>());
  FillGaussian(&one.top, 7, true);
  FillGaussian(&top2, 8, true);
  both.Backward(tops, {true, true}, bottoms);

  TestFixture::ZeroDiffs(&one.layer);
  for (size_t i : {0, 1}) {
    typename TestFixture::Blobs bottom_i{bottoms[i]}, top_i{tops[i]};
    const std::vector<Dtype> gradient = TestFixture::Diff(*tops[i]);
    one.layer.Forward(bottom_i, top_i);
    std::copy(gradient.begin(), gradient.end(), tops[i]->mutable_cpu_diff());
    one.layer.Backward(top_i, {true}, bottom_i);
  }
  for (int b = 0; b < 4; ++b) {
    EXPECT_EQ(TestFixture::Diff(*one.layer.blobs()[b]), TestFixture::Diff(*both.blobs()[b])) << b;
  }
}

TYPED_TEST(ACULayerTest, BitsDoNotDependOnTheNumberOfThreads) {
  typedef typename TypeParam::Dtype Dtype;
  for (const std::pair<int, int>& groups_and_sets : {std::pair<int, int>{1, 1}, {2, 4}, {40, 40}, {40, 1}}) {
    ActiveCase c;
    c.images = 21;
    c.channels = c.outputs = 40;  // more than a block of channels, whatever the path
    c.height = c.width = 16;
    c.groups = groups_and_sets.first;
    c.sets = groups_and_sets.second;
    std::vector<std::vector<Dtype>> results[3];
    for (int threads : {1, 2, 3}) {
      ThreadLimit limit(threads);
      typename TestFixture::Fixture f(c);
      TestFixture::ZeroDiffs(&f.layer);
      TestFixture::ForwardBackward(&f);
      auto& result = results[threads - 1];
      result = {TestFixture::Data(f.top), TestFixture::Diff(f.bottom)};
      for (auto& blob : f.layer.blobs()) result.push_back(TestFixture::Diff(*blob));
    }
    EXPECT_TRUE(results[0] == results[1]);
    EXPECT_TRUE(results[0] == results[2]);
  }
}

// A value that is not a number must show, not vanish.
TYPED_TEST(ACULayerTest, ANaNPositionMakesTheOutputNaN) {
  typename TestFixture::Fixture f((ActiveCase()));
  f.layer.blobs()[2]->mutable_cpu_data()[3] = NAN;
  f.layer.Forward(f.bottoms, f.tops);
  EXPECT_TRUE(std::isnan(f.top.cpu_data()[0]));
}

}  // namespace caffe
