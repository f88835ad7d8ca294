#ifdef USE_CUDNN
#include "caffe_acu/cudnn/handle.hpp"

#include <map>

#include "caffe/common.hpp"

namespace caffe {
namespace {

struct Handle {
  Handle() { CUDNN_CHECK(cudnnCreate(&cudnn)); }
  // Without a check: at the end of a process the driver may be gone, and all handles with it.
  ~Handle() { cudnnDestroy(cudnn); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  cudnnHandle_t cudnn;
};

}  // namespace

cudnnHandle_t CudnnHandle() {
  static thread_local std::map<int, Handle> handles;  // by the number of the GPU
  int device;
  CUDA_CHECK(cudaGetDevice(&device));
  return handles[device].cudnn;
}

}  // namespace caffe
#endif
