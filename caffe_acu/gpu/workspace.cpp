#ifndef CPU_ONLY
#include "caffe_acu/gpu/workspace.hpp"

#include <cstdlib>
#include <string>

#include "caffe/common.hpp"
#include "caffe_acu/util/memory.hpp"

namespace caffe {
namespace {

// A number of MiB from the environment, in bytes.
size_t LimitFrom(const char* variable, size_t default_mib) {
  size_t mib = default_mib;
  if (const char* text = std::getenv(variable)) {
    char* end = nullptr;
    mib = std::strtoull(text, &end, 10);
    CHECK(end != text && *end == '\0' && mib > 0) << variable << "=" << text << ": give a number of MiB, 1 or more";
  }
  return mib << 20;
}

bool IsAsked(const char* variable) {
  const char* text = std::getenv(variable);
  return text && std::string(text) != "" && std::string(text) != "0";
}

struct Workspace {
  // Without a check: at the end of a process the driver may be gone, and its memory with it.
  ~Workspace() { cudaFree(memory); }

  void* memory = nullptr;
  size_t size = 0;
  int device = -1;
};

}  // namespace

void* GpuWorkspace(size_t bytes) {
  static thread_local Workspace workspace;
  int device;
  CUDA_CHECK(cudaGetDevice(&device));
  if (bytes > workspace.size || device != workspace.device) {
    CUDA_CHECK(cudaFree(workspace.memory));
    workspace.memory = nullptr;
    workspace.size = 0;
    workspace.memory = DeviceMemory(bytes);
    workspace.size = bytes;
    workspace.device = device;
  }
  return workspace.memory;
}

size_t ColumnWorkspaceLimit() {
  static const size_t limit = LimitFrom("CAFFE_ACU_WORKSPACE_MIB", 48);
  return limit;
}

size_t CudnnWorkspaceLimit() {
  static const size_t limit = LimitFrom("CAFFE_ACU_CUDNN_WORKSPACE_MIB", 1024);
  return limit;
}

bool Deterministic() {
  static const bool asked = IsAsked("CAFFE_ACU_DETERMINISTIC");
  return asked;
}

bool MeasureAlgorithms() {
  static const bool asked = IsAsked("CAFFE_ACU_CUDNN_FIND");
  return asked;
}

}  // namespace caffe
#endif
