#include "caffe_acu/util/device.hpp"

namespace caffe {

#ifdef CPU_ONLY

bool DeviceIsPresent() { return false; }

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

int DeviceAttribute(cudaDeviceAttr attribute, int device) {
  int value = 0;
  return cudaDeviceGetAttribute(&value, attribute, device) == cudaSuccess ? value : 0;
}

#endif

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
