// Emulated GPUs side by side, and what NCCL does between them.
#include "caffe_acu/emulation/device.hpp"
#ifdef USE_NCCL
#include <nccl.h>
#endif

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

extern "C" void caffe_acu_emulation_device(size_t memory, int devices);

namespace {

using emulation::Launch;

constexpr int kDevices = 3;

// Three devices of 1 MiB each, of which threads choose one.
class SeveralDevicesTest : public ::testing::Test {
 protected:
  static constexpr size_t kBytes = 1 << 20;
  void SetUp() override { caffe_acu_emulation_device(kBytes, kDevices); }
  void TearDown() override {
    cudaSetDevice(0);
    caffe_acu_emulation_device(size_t(8) << 30, 1);
  }

  // What threads get, each with a device of its own.
  template <typename Call>
  static auto OnEach(const Call& call) {
    std::vector<decltype(call(0))> results(kDevices);
    std::vector<std::thread> threads;
    for (int device = 0; device < kDevices; ++device) {
      threads.emplace_back([&, device] {
        cudaSetDevice(device);
        results[device] = call(device);
      });
    }
    for (std::thread& thread : threads) thread.join();
    return results;
  }
  template <typename T = float>
  static T* Allocate(size_t count) {
    void* memory = nullptr;
    cudaMalloc(&memory, count * sizeof(T));
    return static_cast<T*>(memory);
  }
  static size_t FreeBytes() {
    size_t left, all;
    cudaMemGetInfo(&left, &all);
    return left;
  }
};

TEST_F(SeveralDevicesTest, EachThreadChoosesItsOwn) {
  const auto current = [](int) {
    int device = -1;
    cudaGetDevice(&device);
    return device;
  };
  EXPECT_EQ(OnEach(current), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(current(0), 0);
  int count = 0;
  EXPECT_EQ(cudaGetDeviceCount(&count), cudaSuccess);
  EXPECT_EQ(count, kDevices);
  EXPECT_EQ(cudaSetDevice(3), cudaErrorInvalidDevice);
  EXPECT_EQ(cudaSetDevice(-1), cudaErrorInvalidDevice);
}

TEST_F(SeveralDevicesTest, EachHasItsOwnMemory) {
  const std::vector<float*> memory = OnEach([](int) { return Allocate(kBytes / sizeof(float)); });
  for (int device = 0; device < kDevices; ++device) {
    ASSERT_NE(memory[device], nullptr);
    cudaPointerAttributes attributes;
    cudaPointerGetAttributes(&attributes, memory[device] + 5);
    EXPECT_EQ(attributes.device, device);
    cudaSetDevice(device);
    EXPECT_EQ(FreeBytes(), 0u);
    EXPECT_EQ(Allocate(1), nullptr);
    EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  }
  // It may be copied and freed from anywhere.
  cudaSetDevice(0);
  cudaMemset(memory[1], 0, kBytes);
  EXPECT_EQ(cudaMemcpy(memory[2], memory[1], kBytes, cudaMemcpyDefault), cudaSuccess);
  EXPECT_EQ(memory[2][7], 0);
  for (float* each : memory) EXPECT_EQ(cudaFree(each), cudaSuccess);
  const std::vector<size_t> left = OnEach([](int) { return FreeBytes(); });
  EXPECT_EQ(left, std::vector<size_t>(kDevices, kBytes));
}

TEST_F(SeveralDevicesTest, AKernelWithSomethingOfAnotherDeviceIsNamed) {
  struct Nested {
    long number;
    const float* values;
  };
  const auto nothing = [](auto...) {};
  const std::string words = "Bad on device 2 is given something of device 1";
  cudaSetDevice(1);
  float* memory = Allocate(4);
  cudaStream_t stream;
  cudaStreamCreate(&stream);
  Launch("Good", {1, 1, 0, stream}, nothing, 4, memory, Nested{1, memory});
  cudaSetDevice(2);
  EXPECT_DEATH(Launch("Bad", {1, 1}, nothing, 4, memory), words);
  EXPECT_DEATH(Launch("Bad", {1, 1}, nothing, Nested{1, memory + 3}), words);
  EXPECT_DEATH(Launch("Bad", {1, 1, 0, stream}, nothing, 1), words);
  cudaStreamDestroy(stream);
  cudaFree(memory);
}

TEST_F(SeveralDevicesTest, KernelsOfSeveralThreadsDoNotMeet) {
  constexpr int kThreads = 96, kLaunches = 100;
  setenv("CAFFE_ACU_EMULATION_ORDER", "forward", 1);
  const auto sums = OnEach([](int device) {
    std::vector<int> sums;
    for (int i = 0; i < kLaunches; ++i) {
      Launch("Sum", {2, kThreads}, [&](int scale) {
        __shared__ int values[kThreads];
        const int me = static_cast<int>(threadIdx.x);
        values[me] = scale * me;
        __syncthreads();
        if (me > 0) return;
        sums.push_back(0);
        for (int value : values) sums.back() += value;
      }, i + device);
    }
    return sums;
  });
  for (int device = 0; device < kDevices; ++device) {
    ASSERT_EQ(sums[device].size(), 2u * kLaunches);
    for (int i = 0; i < 2 * kLaunches; ++i) {
      EXPECT_EQ(sums[device][i], (i / 2 + device) * kThreads * (kThreads - 1) / 2);
    }
  }
}

#ifdef USE_NCCL
class EmulatedNcclTest : public SeveralDevicesTest {
 protected:
  typedef std::vector<ncclComm_t> Comms;

  static double Value(int device, int i) { return 0.1 * (1 + i + 10 * device); }

  // What each has after a call with its values.
  template <typename T, typename Call>
  static std::vector<std::vector<T>> AfterCall(const Comms& comms, const Call& call) {
    return OnEach([&](int device) {
      T* memory = Allocate<T>(3);
      for (int i = 0; i < 3; ++i) memory[i] = static_cast<T>(Value(device, i));
      EXPECT_EQ(call(memory, comms[device]), ncclSuccess);
      const std::vector<T> values(memory, memory + 3);
      cudaFree(memory);
      return values;
    });
  }
  static Comms Connect() {
    Comms comms(kDevices);
    const int devices[] = {0, 1, 2};
    EXPECT_EQ(ncclCommInitAll(comms.data(), kDevices, devices), ncclSuccess);
    return comms;
  }
  static void Disconnect(const Comms& comms) {
    for (ncclComm_t comm : comms) EXPECT_EQ(ncclCommDestroy(comm), ncclSuccess);
  }
};

TEST_F(EmulatedNcclTest, SumsAreMadeInTheOrderOfTheRanks) {
  const Comms comms = Connect();
  const auto floats = AfterCall<float>(comms, [](float* values, ncclComm_t comm) {
    return ncclAllReduce(values, values, 3, ncclFloat, ncclSum, comm, nullptr);
  });
  const auto doubles = AfterCall<double>(comms, [](double* values, ncclComm_t comm) {
    return ncclAllReduce(values, values, 2, ncclDouble, ncclSum, comm, nullptr);
  });
  for (int device = 0; device < kDevices; ++device) {
    for (int i = 0; i < 3; ++i) {
      const float sum = static_cast<float>(Value(0, i)) + static_cast<float>(Value(1, i));
      EXPECT_EQ(floats[device][i], sum + static_cast<float>(Value(2, i)));
    }
    for (int i = 0; i < 2; ++i) EXPECT_EQ(doubles[device][i], Value(0, i) + Value(1, i) + Value(2, i));
    EXPECT_EQ(doubles[device][2], Value(device, 2));  // of which the call did not speak
  }
  Disconnect(comms);
}

TEST_F(EmulatedNcclTest, RanksMeetByAnId) {
  ncclUniqueId id, other;
  ncclGetUniqueId(&id);
  ncclGetUniqueId(&other);
  EXPECT_NE(std::string(id.internal, sizeof(id.internal)), std::string(other.internal, sizeof(other.internal)));
  const Comms comms = OnEach([&](int device) {
    ncclComm_t comm = nullptr;
    EXPECT_EQ(ncclCommInitRank(&comm, kDevices, id, 2 - device), ncclSuccess);
    return comm;
  });
  const auto values = AfterCall<double>(comms, [](double* values, ncclComm_t comm) {
    return ncclBcast(values, 3, ncclDouble, 0, comm, nullptr);
  });
  for (const auto& each : values) {
    for (int i = 0; i < 3; ++i) EXPECT_EQ(each[i], Value(2, i));  // of rank 0
  }
  Disconnect(comms);
}

TEST_F(EmulatedNcclTest, MistakesAreTold) {
  ncclComm_t comms[kDevices];
  const int twice[] = {0, 1, 1}, missing[] = {0, 1, 3};
  EXPECT_EQ(ncclCommInitAll(comms, kDevices, twice), ncclInvalidUsage);
  EXPECT_EQ(ncclCommInitAll(comms, kDevices, missing), ncclInvalidArgument);
  const Comms good = Connect();
  EXPECT_DEATH(OnEach([&](int device) {
    float* memory = Allocate(8);
    return ncclAllReduce(memory, memory, 3 + device % 2, ncclFloat, ncclSum, good[device], nullptr);
  }), "rank 0 calls ncclAllReduce for 3 values, rank 1 ncclAllReduce for 4");
  cudaSetDevice(2);
  EXPECT_DEATH(ncclBcast(nullptr, 0, ncclFloat, 0, good[1], nullptr),
               "ncclBcast on device 2 is given something of device 1");
  Disconnect(good);
}
#endif

}  // namespace
