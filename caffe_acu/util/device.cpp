#include "caffe_acu/util/device.hpp"

#include <glog/logging.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

namespace caffe {

#ifdef CPU_ONLY

bool DeviceIsPresent() { return false; }

void RequireDevice(int /*device*/) { NO_GPU; }

#else

bool DeviceIsPresent() {
  static const bool present = [] {
    int count = 0;
    const bool found = cudaGetDeviceCount(&count) == cudaSuccess && count > 0;
    cudaGetLastError();  // else the next check of a kernel would report what was asked here
    return found;
  }();
  return present;
}

void RequireDevice(int device) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  LOG_IF(FATAL, error != cudaSuccess || count == 0)
      << "there is no GPU that CUDA can use (" << (error == cudaSuccess ? "it finds none" : cudaGetErrorString(error))
      << "). Without --gpu, set_mode_gpu() and solver_mode: GPU all runs on the CPU; `nvidia-smi` tells of the driver.";
  LOG_IF(FATAL, device < 0 || device >= count)
      << "there is no GPU " << device << ": " << count << " can be used, "
      << (count == 1 ? "number 0" : "numbers 0 to " + std::to_string(count - 1))
      << ". Mend --gpu or device_id, or CUDA_VISIBLE_DEVICES.";
}

int DeviceAttribute(cudaDeviceAttr attribute, int device) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess ? value : 0;
}

#endif

int DeviceNumber(const std::string& text) {
  char* end = nullptr;
  errno = 0;
  const long number = std::strtol(text.c_str(), &end, 10);
  LOG_IF(FATAL, text.empty() || *end != '\0' || errno != 0 || number < 0 || number > INT_MAX)
      << "--gpu: \"" << text << "\" is no number of a GPU. Give numbers with commas between, or all.";
  return static_cast<int>(number);
}

#ifdef USE_CUDNN

bool CudnnIsUsable() {
  static const bool usable = [] {
    if (!DeviceIsPresent()) return false;
    cudnnHandle_t handle;
    const cudnnStatus_t status = cudnnCreate(&handle);
    if (status == CUDNN_STATUS_SUCCESS) {
      cudnnDestroy(handle);
    } else {
      LOG(WARNING) << "cuDNN cannot be used (" << cudnnGetErrorString(status) << "); layers use Caffe's own kernels";
    }
    return status == CUDNN_STATUS_SUCCESS;
  }();
  return usable;
}

#else

bool CudnnIsUsable() { return false; }

#endif

}  // namespace caffe
