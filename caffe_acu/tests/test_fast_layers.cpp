// Caffe's own layers where our code computes them, against loops in double precision or upstream's code.
// Upstream's suite runs on them as well.
#include <string>
#include <vector>

#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {

template <typename TypeParam>
class FastLayersTest : public MultiDeviceTest<TypeParam> {
 protected:
  typedef typename TypeParam::Dtype Dtype;
  typedef std::vector<Blob<Dtype>*> Blobs;
  typedef std::vector<double> Values;

  static shared_ptr<Layer<Dtype>> Make(const std::string& text) {
    LayerParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString("name: 'l' " + text, &param)) << text;
    return LayerRegistry<Dtype>::CreateLayer(param);
  }
  static Values Data(const Blob<Dtype>& b) { return {b.cpu_data(), b.cpu_data() + b.count()}; }
  static Values Diff(const Blob<Dtype>& b) { return {b.cpu_diff(), b.cpu_diff() + b.count()}; }

  // Everything that a forward and a backward pass compute: output, input gradient, parameters and their
  // gradients.
  static std::vector<Values> Run(Layer<Dtype>* layer, const std::vector<int>& shape, bool in_place,
                                 const Layer<Dtype>* parameters = nullptr) {
    Blob<Dtype> bottom(shape), top;
    FillGaussian(&bottom, 1);
    const Blobs bottoms{&bottom}, tops{in_place ? &bottom : &top};
    layer->SetUp(bottoms, tops);
    for (size_t i = 0; i < layer->blobs().size(); ++i) {
      if (parameters) layer->blobs()[i]->CopyFrom(*const_cast<Layer<Dtype>*>(parameters)->blobs()[i]);
      caffe_set(layer->blobs()[i]->count(), Dtype(0), layer->blobs()[i]->mutable_cpu_diff());
    }
    layer->Forward(bottoms, tops);
    std::vector<Values> result = {Data(*tops[0])};
    FillGaussian(tops[0], 3, true);
    layer->Backward(tops, {true}, bottoms);
    result.push_back(Diff(bottom));
    for (auto& blob : layer->blobs()) {
      result.push_back(Data(*blob));
      result.push_back(Diff(*blob));
    }
    return result;
  }
  static void ExpectEqual(const std::vector<Values>& expected, const std::vector<Values>& actual) {
    ASSERT_EQ(expected.size(), actual.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      SCOPED_TRACE(i);
      ASSERT_EQ(expected[i].size(), actual[i].size());
      ExpectNear(expected[i], actual[i].data(), Tolerance<Dtype>());
    }
  }
};

TYPED_TEST_CASE(FastLayersTest, TestDtypesAndDevices);

// Against upstream's own Convolution, which engine CAFFE asks for, in both of its ways of making columns.
TYPED_TEST(FastLayersTest, ConvolutionIsUpstreams) {
  for (const std::string settings :
       {"num_output: 6 kernel_size: 3 pad: 1", "num_output: 6 kernel_size: 3 stride: 2", "num_output: 4 kernel_size: 1",
        "num_output: 4 kernel_size: 1 stride: 2", "num_output: 4 kernel_size: 1 pad: 1",
        "num_output: 6 kernel_size: 3 pad: 1 group: 2", "num_output: 6 kernel_size: 3 pad: 1 group: 6",
        "num_output: 12 kernel_size: 3 pad: 1 group: 6 stride: 2", "num_output: 30 kernel_size: 3 group: 6",
        "num_output: 6 kernel_size: 3 pad: 2 dilation: 2 group: 6", "num_output: 6 kernel_size: 2 stride: 3 group: 6",
        "num_output: 6 kernel_h: 5 kernel_w: 2 pad_h: 3 pad_w: 0 stride_h: 1 stride_w: 3",
        "num_output: 6 kernel_h: 2 kernel_w: 4 pad_h: 0 pad_w: 3 stride_h: 2 stride_w: 1 group: 6",
        "num_output: 3 kernel_size: 7 pad: 3 bias_term: false", "num_output: 4 kernel_size: 3 pad_h: 1",
        "num_output: 4 kernel_size: 3 pad_w: 2"}) {
    SCOPED_TRACE(settings);
    const std::string text = "type: 'Convolution' convolution_param { weight_filler { type: 'gaussian' std: 1 } "
                             "bias_filler { type: 'gaussian' std: 1 } " + settings;
    const std::vector<int> shape = {3, 6, 9, 10};
    const auto ours = this->Make(text + " }"), theirs = this->Make(text + " engine: CAFFE }");
    const auto general = this->Make(text + " engine: CAFFE force_nd_im2col: true }");
    const auto result = this->Run(ours.get(), shape, false);
    const auto expected = this->Run(theirs.get(), shape, false, ours.get());
    this->ExpectEqual(expected, result);
    // Upstream's two ways give the same bits, as its own test demands of them.
    const auto of_general = this->Run(general.get(), shape, false, ours.get());
    EXPECT_TRUE(expected[0] == of_general[0]);
  }
}

// Rows longer than a tile, and planes that share tiles.
TYPED_TEST(FastLayersTest, ConvolutionOfLongRowsAndSmallPlanes) {
  for (const std::vector<int>& shape : {std::vector<int>{2, 3, 4, 600}, {40, 3, 2, 3}, {9, 3, 7, 7}, {1, 3, 1, 1}}) {
    const std::string text =
        "type: 'Convolution' convolution_param { num_output: 5 kernel_size: 3 pad: 1 "
        "weight_filler { type: 'gaussian' std: 1 }";
    const auto ours = this->Make(text + " }"), theirs = this->Make(text + " engine: CAFFE }");
    const auto result = this->Run(ours.get(), shape, false);
    this->ExpectEqual(this->Run(theirs.get(), shape, false, ours.get()), result);
  }
}

TYPED_TEST(FastLayersTest, BatchNormByItsDefinition) {
  typedef typename TypeParam::Dtype Dtype;
  const int N = 3, C = 4, S = 5 * 7;
  for (bool in_place : {false, true}) {
    const auto layer = this->Make("type: 'BatchNorm' batch_norm_param { eps: 0.0078125 moving_average_fraction: 0.5 }");
    const auto result = this->Run(layer.get(), {N, C, 5, 7}, in_place);
    Blob<Dtype> x(N, C, 5, 7), g(N, C, 5, 7);
    FillGaussian(&x, 1);
    FillGaussian(&g, 3);
    std::vector<double> y(x.count()), d(x.count()), means, variances;
    for (int c = 0; c < C; ++c) {
      const auto sum = [&](auto&& of) {
        double total = 0;
        for (int n = 0; n < N; ++n) {
          for (int i = 0; i < S; ++i) total += of((n * C + c) * S + i);
        }
        return total;
      };
      const double m = N * S, mean = sum([&](int i) { return x.cpu_data()[i]; }) / m;
      const double variance = sum([&](int i) { return std::pow(x.cpu_data()[i] - mean, 2); }) / m;
      const double deviation = std::sqrt(variance + 0.0078125);
      const auto normalized = [&](int i) { return (x.cpu_data()[i] - mean) / deviation; };
      const double mean_g = sum([&](int i) { return g.cpu_data()[i]; }) / m;
      const double mean_gy = sum([&](int i) { return g.cpu_data()[i] * normalized(i); }) / m;
      sum([&](int i) {
        y[i] = normalized(i);
        d[i] = (g.cpu_data()[i] - mean_g - mean_gy * normalized(i)) / deviation;
        return 0;
      });
      means.push_back(mean);
      variances.push_back(variance * m / (m - 1));
    }
    ExpectNear(y, result[0].data(), Tolerance<Dtype>());
    ExpectNear(d, result[1].data(), Tolerance<Dtype>());
    ExpectNear(means, result[2].data(), Tolerance<Dtype>());
    ExpectNear(variances, result[4].data(), Tolerance<Dtype>());
    EXPECT_EQ(result[6][0], 1);
  }
}

TYPED_TEST(FastLayersTest, ScaleByItsDefinition) {
  typedef typename TypeParam::Dtype Dtype;
  const int N = 3, C = 4, S = 5 * 7;
  for (bool in_place : {false, true}) {
    const auto layer = this->Make("type: 'Scale' scale_param { bias_term: true filler { type: 'gaussian' std: 1 } "
                                  "bias_filler { type: 'gaussian' std: 1 } }");
    const auto result = this->Run(layer.get(), {N, C, 5, 7}, in_place);
    Blob<Dtype> x(N, C, 5, 7), g(N, C, 5, 7);
    FillGaussian(&x, 1);
    FillGaussian(&g, 3);
    std::vector<double> y, d, of_factor(C), of_shift(C);
    for (int i = 0; i < x.count(); ++i) {
      const int c = i / S % C;
      y.push_back(result[2][c] * x.cpu_data()[i] + result[4][c]);
      d.push_back(result[2][c] * g.cpu_data()[i]);
      of_factor[c] += double(g.cpu_data()[i]) * x.cpu_data()[i];
      of_shift[c] += g.cpu_data()[i];
    }
    ExpectNear(y, result[0].data(), Tolerance<Dtype>());
    ExpectNear(d, result[1].data(), Tolerance<Dtype>());
    ExpectNear(of_factor, result[3].data(), Tolerance<Dtype>());
    ExpectNear(of_shift, result[5].data(), Tolerance<Dtype>());
  }
}

TYPED_TEST(FastLayersTest, ReLUShowsWhatIsNotANumber) {
  typedef typename TypeParam::Dtype Dtype;
  Blob<Dtype> x(1, 1, 1, 70000), y;  // more than a task's piece
  FillGaussian(&x, 1);
  x.mutable_cpu_data()[68000] = NAN;
  const auto layer = this->Make("type: 'ReLU' relu_param { negative_slope: 0.25 }");
  layer->SetUp({&x}, {&y});
  layer->Forward({&x}, {&y});
  for (int i = 0; i < x.count(); ++i) {
    const Dtype v = x.cpu_data()[i];
    if (i == 68000) EXPECT_TRUE(std::isnan(y.cpu_data()[i]));
    else ASSERT_EQ(y.cpu_data()[i], v > 0 ? v : Dtype(0.25) * v) << i;
  }
}

TYPED_TEST(FastLayersTest, BitsDoNotDependOnTheNumberOfThreads) {
  const std::vector<int> shape = {5, 48, 9, 9};
  for (const char* text :
       {"type: 'Convolution' convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: 'xavier' } }",
        "type: 'Convolution' convolution_param { num_output: 48 group: 48 kernel_size: 3 "
        "weight_filler { type: 'xavier' } }",
        "type: 'BatchNorm'", "type: 'Scale' scale_param { bias_term: true }", "type: 'ReLU'",
        "type: 'Pooling' pooling_param { kernel_size: 3 stride: 2 pool: MAX }",
        "type: 'Pooling' pooling_param { kernel_size: 3 stride: 2 pool: AVE pad: 1 }"}) {
    SCOPED_TRACE(text);
    std::vector<typename TestFixture::Values> results[2];
    for (int threads : {1, 3}) {
      ThreadLimit limit(threads);
      Caffe::set_random_seed(5);
      results[threads / 2] = this->Run(this->Make(text).get(), shape, false);
    }
    EXPECT_TRUE(results[0] == results[1]);
  }
}

}  // namespace caffe
