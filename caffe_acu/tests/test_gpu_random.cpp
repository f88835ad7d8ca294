// The place of the GPU's random numbers is known after any draws. Runs where there is a GPU, and in the emulation.
#ifndef CPU_ONLY

#include <string>
#include <vector>

#include "boost/filesystem.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/io.hpp"
#include "caffe/util/math_functions.hpp"
#include "caffe_acu/gpu/random.hpp"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace caffe {

class GpuRandomTestGPU : public ::testing::Test {
 protected:
  static constexpr int kCount = 1000;  // no multiple of anything in cuRAND

  void SetUp() override { Caffe::set_mode(Caffe::GPU); }
  void TearDown() override { Caffe::set_mode(Caffe::CPU); }

  static std::vector<unsigned> Draw() {
    SyncedMemory memory(kCount * sizeof(unsigned));
    caffe_gpu_rng_uniform(kCount, static_cast<unsigned*>(memory.mutable_gpu_data()));
    const auto* values = static_cast<const unsigned*>(memory.cpu_data());
    return std::vector<unsigned>(values, values + kCount);
  }
};

TEST_F(GpuRandomTestGPU, GoesOnFromAnyPlace) {
  Caffe::set_random_seed(5);
  EXPECT_EQ(PlaceOfGpuRandom().seed, 5u);
  EXPECT_EQ(PlaceOfGpuRandom().drawn, 0u);
  SyncedMemory memory(kCount * sizeof(double));
  auto* const floats = static_cast<float*>(memory.mutable_gpu_data());
  auto* const doubles = static_cast<double*>(memory.mutable_gpu_data());
  for (int draws = 0; draws < 5; ++draws) {
    const GpuRandom place = PlaceOfGpuRandom();
    const std::vector<unsigned> expected = Draw();
    EXPECT_EQ(PlaceOfGpuRandom().drawn, place.drawn + kCount);
    Caffe::set_random_seed(draws);
    EXPECT_NE(Draw(), expected);
    CURAND_CHECK(SeedGpuRandom(Caffe::curand_generator(), place.seed, place.drawn));
    EXPECT_EQ(Draw(), expected) << draws;
    if (draws == 0) caffe_gpu_rng_uniform<float>(kCount, 0, 1, floats);
    if (draws == 1) caffe_gpu_rng_uniform<double>(kCount, 0, 1, doubles);
    if (draws == 2) caffe_gpu_rng_gaussian<float>(kCount, 0, 1, floats);
    if (draws == 3) caffe_gpu_rng_gaussian<double>(kCount, 0, 1, doubles);
  }
}

TEST_F(GpuRandomTestGPU, DropoutGoesOnInAResumedTraining) {
  std::string folder;
  MakeTempDir(&folder);
  const std::string text =
      "base_lr: 0.1 lr_policy: 'fixed' momentum: 0.9 max_iter: 100 random_seed: 3 solver_mode: GPU snapshot_prefix: '" +
      folder +
      "/net' net_param {"
      "  layer { name: 'data' type: 'DummyData' top: 'data' top: 'label' dummy_data_param {"
      "    shape { dim: 4 dim: 7 } shape { dim: 4 dim: 2 } data_filler { type: 'gaussian' } } }"
      "  layer { name: 'drop' type: 'Dropout' bottom: 'data' top: 'drop' }"
      "  layer { name: 'ip' type: 'InnerProduct' bottom: 'drop' top: 'ip' inner_product_param {"
      "    num_output: 2 weight_filler { type: 'xavier' } } }"
      "  layer { name: 'loss' type: 'EuclideanLoss' bottom: 'ip' bottom: 'label' } }";
  SolverParameter param;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &param));
  const auto weights = [](Solver<float>* solver) {
    const Blob<float>& blob = *solver->net()->learnable_params()[0];
    return std::vector<float>(blob.cpu_data(), blob.cpu_data() + blob.count());
  };
  const shared_ptr<Solver<float>> whole(SolverRegistry<float>::CreateSolver(param));
  whole->Step(5);
  whole->Snapshot();
  whole->Step(5);
  param.set_random_seed(4);
  const shared_ptr<Solver<float>> resumed(SolverRegistry<float>::CreateSolver(param));
  resumed->Restore((param.snapshot_prefix() + "_iter_5.solverstate").c_str());
  resumed->Step(5);
  EXPECT_EQ(weights(whole.get()), weights(resumed.get()));
  boost::filesystem::remove_all(folder);
}

}  // namespace caffe

#endif  // CPU_ONLY
