// Runs upstream's tests or ours, on what the machine has: where there is no GPU, its tests are left out, and said
// to be.
#include <iostream>
#include <string>

#include "caffe/caffe.hpp"
#include "caffe/test/test_caffe_main.hpp"
#include "caffe_acu/util/device.hpp"

#ifndef CPU_ONLY
namespace caffe {
cudaDeviceProp CAFFE_TEST_CUDA_PROP;  // upstream's tests ask for it
}
#endif

namespace {

void LeaveOut(const std::string& what, const std::string& pattern) {
  const std::string filter = ::testing::GTEST_FLAG(filter);
  ::testing::GTEST_FLAG(filter) = filter + (filter.find('-') == std::string::npos ? "-" : ":") + pattern;
  std::cout << what << ": left out " << pattern << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  caffe::GlobalInit(&argc, &argv);
#ifdef CPU_ONLY
  LeaveOut("A build for the CPU", "*GPU*");
#else
  if (caffe::DeviceIsPresent()) {
    cudaGetDeviceProperties(&caffe::CAFFE_TEST_CUDA_PROP, 0);
    std::cout << "GPU: " << caffe::CAFFE_TEST_CUDA_PROP.name << std::endl;
  } else {
    // Types 2 and 3 of tests that are typed over devices are the GPU's; TestBrewMode leaves Caffe in GPU mode.
    LeaveOut("No GPU", "*GPU*:*/2.*:*/3.*:PlatformTest.*:CommonTest.TestBrewMode");
  }
  if (!caffe::CudnnIsUsable()) LeaveOut("No cuDNN that can run", "*CuDNN*");
#endif
  return RUN_ALL_TESTS();
}
