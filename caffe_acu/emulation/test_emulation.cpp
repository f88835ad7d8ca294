// The emulated GPU does what a GPU does, and shows what a GPU may hide.
#include "caffe_acu/emulation/device.hpp"

#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"

extern "C" long caffe_acu_emulation_host_waits();

namespace {

using emulation::Launch;

constexpr int kThreads = 96;

const std::vector<std::string> kOrders = {"forward", "reverse", "random:1", "random:2"};

void SetOrder(const std::string& order) { setenv("CAFFE_ACU_EMULATION_ORDER", order.c_str(), 1); }

// Neighbours exchange values through shared memory, with a barrier between writing and reading or without.
std::vector<int> ExchangeWithNeighbours(bool barrier) {
  std::vector<int> result(2 * kThreads);
  Launch("Exchange", {2, kThreads}, [&](int offset) {
    __shared__ int values[kThreads];
    const int me = static_cast<int>(threadIdx.x);
    values[me] = offset + 1000 * static_cast<int>(blockIdx.x) + me;
    if (barrier) __syncthreads();
    result[blockIdx.x * kThreads + me] = values[(me + 1) % kThreads];
  }, 7);
  return result;
}

TEST(EmulationTest, ABarrierMakesValuesVisibleInAnyOrder) {
  for (const std::string& order : kOrders) {
    SetOrder(order);
    const std::vector<int> result = ExchangeWithNeighbours(true);
    for (int i = 0; i < 2 * kThreads; ++i) {
      EXPECT_EQ(result[i], 7 + 1000 * (i / kThreads) + (i + 1) % kThreads) << order;
    }
  }
}

TEST(EmulationTest, AMissingBarrierShowsInSomeOrder) {
  SetOrder("forward");
  const std::vector<int> forward = ExchangeWithNeighbours(false);
  SetOrder("reverse");
  EXPECT_NE(forward, ExchangeWithNeighbours(false));
}

TEST(EmulationTest, ShufflesStayInTheirWarp) {
  for (const std::string& order : kOrders) {
    SetOrder(order);
    std::vector<double> result(kThreads);
    Launch("Shuffle", {1, kThreads}, [&](double scale) {
      double value = scale * threadIdx.x;
      for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_down_sync(0xffffffffu, value, lanes);
      result[threadIdx.x] = value;
    }, 0.5);
    for (int warp = 0; warp < kThreads; warp += 32) EXPECT_EQ(result[warp], 0.5 * (32 * warp + 31 * 16)) << order;
  }
}

TEST(EmulationTest, ThreadsThatHaveReturnedDoNotHoldUpABarrier) {
  SetOrder("forward");
  int arrived = 0;
  Launch("Return", {1, kThreads}, [&](int leave) {
    if (static_cast<int>(threadIdx.x) < leave) return;
    __syncthreads();
    ++arrived;
  }, 40);
  EXPECT_EQ(arrived, kThreads - 40);
}

TEST(EmulationTest, AWarpWithoutAllItsLanesIsNamed) {
  EXPECT_DEATH(Launch("Broken", {1, kThreads}, [](int leave) {
    if (static_cast<int>(threadIdx.x) >= leave) __shfl_down_sync(0xffffffffu, 1, 1);
  }, 5), "Broken, block \\(0, 0, 0\\): lanes of a warp wait");
}

TEST(EmulationTest, DynamicSharedMemoryIsUnwrittenInEveryBlock) {
  std::vector<float> before(2);
  Launch("Dynamic", {2, 32, sizeof(float)}, [&](float value) {
    float* shared = static_cast<float*>(emulation::DynamicSharedMemory());
    if (threadIdx.x == 0) before[blockIdx.x] = *shared;
    *shared = value;
  }, 1.f);
  EXPECT_TRUE(std::isnan(before[0]) && std::isnan(before[1]));
}

TEST(EmulationTest, IndicesRunOverThreeDimensions) {
  std::vector<int> seen(2 * 3 * 2 * 4 * 2);
  Launch("Indices", {dim3(2, 3), dim3(2, 4, 2)}, [&](int one) {
    const unsigned thread = (threadIdx.z * 4 + threadIdx.y) * 2 + threadIdx.x;
    seen[(blockIdx.y * 2 + blockIdx.x) * 16 + thread] += one;
  }, 1);
  EXPECT_EQ(seen, std::vector<int>(seen.size(), 1));
}

TEST(EmulationTest, MemoryIsUnwrittenAndGuarded) {
  float* memory;
  ASSERT_EQ(cudaMalloc(&memory, 3 * sizeof(float)), cudaSuccess);
  EXPECT_TRUE(std::isnan(memory[0]) && std::isnan(memory[2]));
  EXPECT_EQ(cudaFree(memory), cudaSuccess);
  EXPECT_DEATH({
    cudaMalloc(&memory, 3 * sizeof(float));
    memory[3] = 0;
    cudaFree(memory);
  }, "behind an allocation of 12 bytes, at byte 12");
  EXPECT_DEATH({
    cudaMalloc(&memory, 3 * sizeof(float));
    cudaMemset(memory, 0, 13);
  }, "leaves an allocation");
}

TEST(EmulationTest, CopiesThatTheHostWaitsForAreCounted) {
  float *memory, host[2] = {1, 2};
  cudaMalloc(&memory, 4 * sizeof(float));
  const long before = caffe_acu_emulation_host_waits();
  cudaMemcpyAsync(memory, host, sizeof(host), cudaMemcpyHostToDevice, nullptr);
  cudaMemcpy(memory + 2, memory, sizeof(host), cudaMemcpyDefault);
  EXPECT_EQ(caffe_acu_emulation_host_waits(), before);
  cudaMemcpy(host, memory + 2, sizeof(host), cudaMemcpyDefault);
  EXPECT_EQ(caffe_acu_emulation_host_waits(), before + 1);
  EXPECT_EQ(host[1], 2);
  cudaFree(memory);
}

}  // namespace
