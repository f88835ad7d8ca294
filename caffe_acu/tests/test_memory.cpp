// Out of memory, and no GPU: how much was asked for, by which layer, and that all goes on afterwards.
#include <google/protobuf/text_format.h>

#include <iostream>
#include <string>

#include "caffe/net.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/tests/host_waits.hpp"
#include "caffe_acu/util/aligned_buffer.hpp"
#include "caffe_acu/util/device.hpp"
#include "caffe_acu/util/memory.hpp"

namespace caffe {
namespace {

constexpr size_t kTooMuch = size_t(1) << 50;

TEST(MemoryTest, TooMuchIsRefusedWithTheAmount) {
  EXPECT_ERROR(HostMemory(kTooMuch), "out of memory: 1024.0 TiB asked for at once, [0-9.]+ [GM]iB are available");
  AlignedBuffer<float> buffer;
  EXPECT_ERROR(buffer.AtLeast(kTooMuch), "out of memory: 4096.0 TiB asked for");
  EXPECT_TRUE(buffer.AtLeast(8));
}

TEST(MemoryTest, ABlobStaysAsItIsIfAnotherShapeIsRefused) {
  Blob<float> blob(2, 3, 4, 5);
  EXPECT_ERROR(blob.Reshape({1 << 20, 1 << 20}), "more than INT_MAX");
  EXPECT_ERROR(blob.Reshape({7, -1}), "axis 1 would be -1");
  EXPECT_EQ(blob.shape_string(), "2 3 4 5 (120)");
}

TEST(MemoryTest, EveryProgramIsToldThatThereIsNoGPUOfThatNumber) {
  EXPECT_ERROR(RequireDevice(1000), DeviceIsPresent() ? "there is no GPU 1000: " : "CPU only|no GPU that CUDA can use");
  EXPECT_ERROR(DeviceNumber("0a"), "\"0a\" is no number of a GPU");
  EXPECT_ERROR(DeviceNumber(""), "no number");
  EXPECT_EQ(DeviceNumber("3"), 3);
}

#ifndef CPU_ONLY
// In the emulation, of which the memory can be chosen.
shared_ptr<Net<float>> PoolingNet(int width) {
  NetParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(
      "layer { name: 'data' type: 'DummyData' top: 'data' dummy_data_param { shape { dim: 1 dim: 1 dim: 4 dim: " +
      std::to_string(width) + " } } } "
      "layer { name: 'pool' type: 'Pooling' bottom: 'data' top: 'pool' pooling_param { kernel_size: 1 } }", &param));
  return shared_ptr<Net<float>>(new Net<float>(param));
}

TEST(MemoryTest, AFullGPUIsNamedWithTheLayer) {
  if (!caffe_acu_emulation_device) {
    std::cout << "skipped: only the memory of the emulation can be chosen" << std::endl;
    return;
  }
  Caffe::set_mode(Caffe::GPU);
  caffe_acu_emulation_device(size_t(20) << 20, 1);
  EXPECT_ERROR(PoolingNet(1 << 20)->Forward(),
               "(DummyData layer 'data'|Pooling layer 'pool').*GPU 0: out of memory: 16.0 MiB asked for at once, "
               "[0-9.]+ ([KM]iB|bytes) of 20.0 MiB are free");
  caffe_acu_emulation_device(size_t(8) << 30, 1);
  EXPECT_NO_THROW(PoolingNet(1 << 20)->Forward());
  Caffe::set_mode(Caffe::CPU);
}

TEST(MemoryTest, AMachineWithoutAGPUIsTold) {
  if (!caffe_acu_emulation_device) return;
  caffe_acu_emulation_device(size_t(8) << 30, 0);
  EXPECT_ERROR(RequireDevice(0), "no GPU that CUDA can use \\(no CUDA-capable device is detected\\). Without --gpu");
  caffe_acu_emulation_device(size_t(8) << 30, 1);
  EXPECT_NO_THROW(RequireDevice(0));
}
#endif

}  // namespace
}  // namespace caffe
