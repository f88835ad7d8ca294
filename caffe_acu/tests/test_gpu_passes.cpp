// What holds on the GPU beyond the typed tests of the layers: the same results as on the CPU, the same bits
// every time, and a host that never waits. Runs where there is a GPU, and in the emulation of one.
#ifndef CPU_ONLY

#include <string>
#include <vector>

#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/tests/host_waits.hpp"

namespace caffe {

template <typename Dtype>
class GpuPassesTest : public ::testing::Test {
 protected:
  typedef std::vector<Blob<Dtype>*> Blobs;
  typedef std::vector<std::vector<Dtype>> Results;

  // A layer after a forward and a backward pass in a mode; gradients of the parameters start at 1.
  struct Pass {
    Pass(const ActiveCase& c, const std::string& type, Caffe::Brew mode)
        : bottom(c.images, c.channels, c.height, c.width), bottoms{&bottom}, tops{&top} {
      Caffe::set_mode(mode);
      Caffe::set_random_seed(1701);
      layer = LayerRegistry<Dtype>::CreateLayer(MakeLayerParameter(c, type));
      FillGaussian(&bottom, 1);
      layer->SetUp(bottoms, tops);
      if (type != "Convolution") Displace(c, layer.get(), 2);
      for (size_t i = 0; i < 2; ++i) FillGaussian(layer->blobs()[i].get(), 20 + i);
      for (auto& blob : layer->blobs()) caffe_set(blob->count(), Dtype(1), blob->mutable_cpu_diff());
      FillGaussian(&top, 3, true);
    }
    void Run() {
      layer->Forward(bottoms, tops);
      layer->Backward(tops, {true}, bottoms);
    }
    Results All() const {
      const auto values = [](const Dtype* data, int count) { return std::vector<Dtype>(data, data + count); };
      Results results = {values(top.cpu_data(), top.count()), values(bottom.cpu_diff(), bottom.count())};
      for (auto& blob : layer->blobs()) results.push_back(values(blob->cpu_diff(), blob->count()));
      return results;
    }
    Blob<Dtype> bottom, top;
    Blobs bottoms, tops;
    shared_ptr<Layer<Dtype>> layer;
  };

  static Results Run(const ActiveCase& c, const std::string& type, Caffe::Brew mode) {
    Pass pass(c, type, mode);
    pass.Run();
    const Results results = pass.All();
    Caffe::set_mode(Caffe::CPU);
    return results;
  }

  // Shapes of the papers' layers in small, and all that the kernels treat differently: planes narrower and wider
  // than a tile, synapses near and far, strides with kernels of their own and without.
  static std::vector<ActiveCase> Grid() {
    std::vector<ActiveCase> cases = ActiveCases();
    ActiveCase c;
    const auto add = [&](const std::string& name) {
      c.name = name;
      cases.push_back(c);
    };
    c.images = 37, c.channels = c.outputs = 40, c.height = c.width = 16;
    add("37 images of 40 channels");
    c.groups = c.sets = 8;
    add("8 groups with a set each");
    c.sets = 4;
    add("8 groups, 4 sets");
    c.groups = 1, c.sets = 5;
    add("1 group, 5 sets");
    c.groups = c.sets = 40;
    for (const int size : {5, 7, 8, 16, 33}) {
      c.height = size;
      c.width = size == 33 ? 19 : size;
      add("depthwise on " + std::to_string(size) + " rows");
    }
    c.images = 3, c.channels = c.outputs = c.groups = c.sets = 2, c.height = 9, c.width = 300;
    add("depthwise, wider than a tile");
    c.height = 150, c.width = 140;
    add("depthwise, larger than a tile");
    c.stride_h = c.stride_w = 2;
    add("depthwise, larger than a tile, stride 2");
    c.height = c.width = 20;
    for (const int stride : {1, 2, 3}) {
      c.stride_h = stride, c.stride_w = stride == 3 ? 1 : stride;
      for (const double reach : {1, 2, 3, 6, 11, 15}) {
        c.reach = reach;
        add("depthwise, reach " + std::to_string(reach) + ", stride " + std::to_string(stride));
      }
    }
    c = ActiveCase();
    c.channels = c.groups = 6, c.outputs = 18, c.sets = 3, c.height = c.width = 17, c.kernel_h = c.kernel_w = 5;
    c.pad_h = c.pad_w = 2;
    add("depthwise, K = 25, 3 outputs a channel, 3 sets");
    c.dilation = 3, c.pad_h = c.pad_w = 6;
    add("depthwise, K = 25, dilation 3");
    return cases;
  }

  // One of each way, for what does not depend on shapes.
  static std::vector<ActiveCase> Ways() {
    ActiveCase columns, groups, depthwise, far;
    columns.name = "columns";
    groups.name = "groups";
    groups.channels = groups.outputs = 6, groups.groups = 2, groups.sets = 3, groups.images = 9, groups.stride_h = 2;
    depthwise.name = "depthwise";
    depthwise.channels = depthwise.groups = depthwise.sets = 6, depthwise.outputs = 12, depthwise.images = 9;
    far = depthwise;
    far.name = "depthwise, far apart";
    far.height = far.width = 40, far.reach = 30, far.images = 2;
    return {columns, groups, depthwise, far};
  }

  static void ExpectSame(const Results& expected, const Results& actual) {
    const char* const names[] = {"output", "input gradient", "weight gradient", "bias gradient", "alpha gradient",
                                 "beta gradient"};
    ASSERT_EQ(expected.size(), actual.size());
    for (size_t i = 0; i < expected.size(); ++i) {
      // A gradient is a sum of many; it rounds in units of the largest.
      double largest = 1;
      for (const Dtype value : expected[i]) largest = std::max(largest, std::abs(double(value)));
      const double tolerance = (sizeof(Dtype) == 4 ? 1e-4 : 1e-10) * (i < 2 ? 1 : largest);
      for (size_t j = 0; j < expected[i].size(); ++j) {
        ASSERT_NEAR(expected[i][j], actual[i][j], tolerance * std::max(1.0, std::abs(double(expected[i][j]))))
            << names[i] << " at " << j;
      }
    }
  }
};

typedef ::testing::Types<float, double> Dtypes;
TYPED_TEST_CASE(GpuPassesTest, Dtypes);

// The name has GPU in it, by which a machine without one leaves it out.
TYPED_TEST(GpuPassesTest, TheGPUAgreesWithTheCPU) {
  for (const ActiveCase& c : TestFixture::Grid()) {
    SCOPED_TRACE(c.name);
    TestFixture::ExpectSame(TestFixture::Run(c, c.type(), Caffe::CPU), TestFixture::Run(c, c.type(), Caffe::GPU));
  }
}

TYPED_TEST(GpuPassesTest, ConvolutionsOnTheGPUAgreeWithTheCPU) {
  for (const ActiveCase& c : TestFixture::Grid()) {
    if (c.listed) continue;
    SCOPED_TRACE(c.name);
    TestFixture::ExpectSame(TestFixture::Run(c, "Convolution", Caffe::CPU),
                            TestFixture::Run(c, "Convolution", Caffe::GPU));
  }
}

TYPED_TEST(GpuPassesTest, TheGPUGivesTheSameBitsEveryTime) {
  for (const ActiveCase& c : TestFixture::Ways()) {
    SCOPED_TRACE(c.name);
    EXPECT_TRUE(TestFixture::Run(c, c.type(), Caffe::GPU) == TestFixture::Run(c, c.type(), Caffe::GPU));
  }
}

TYPED_TEST(GpuPassesTest, TheHostDoesNotWaitForTheGPU) {
  if (!caffe_acu_emulation_host_waits) {
    std::cout << "skipped: only the emulation counts" << std::endl;
    return;
  }
  for (const ActiveCase& c : TestFixture::Ways()) {
    SCOPED_TRACE(c.name);
    typename TestFixture::Pass pass(c, c.type(), Caffe::GPU);
    pass.Run();  // copies parameters, and makes room
    const long before = caffe_acu_emulation_host_waits();
    pass.Run();
    EXPECT_EQ(caffe_acu_emulation_host_waits(), before);
  }
  Caffe::set_mode(Caffe::CPU);
}

}  // namespace caffe

#endif  // CPU_ONLY
