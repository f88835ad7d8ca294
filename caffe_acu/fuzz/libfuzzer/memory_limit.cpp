#include "caffe_acu/fuzz/libfuzzer/memory_limit.hpp"

#include <sanitizer/allocator_interface.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <new>

// The linker has Caffe call __wrap_malloc for malloc (cmake/Fuzz.cmake).
extern "C" void* __real_malloc(size_t bytes);

namespace caffe {
namespace fuzz {
namespace {

constexpr size_t kNone = SIZE_MAX;

std::atomic<size_t> most{kNone};  // bytes in use, of the whole process

bool IsThere(size_t bytes) {
  const size_t limit = most.load(std::memory_order_relaxed);
  if (limit == kNone || bytes < 4096) return true;  // what is small cannot be much: counting it would take long
  return bytes < limit && __sanitizer_get_current_allocated_bytes() + bytes < limit;
}

}  // namespace

MemoryLimit::MemoryLimit(size_t bytes) { most = __sanitizer_get_current_allocated_bytes() + bytes; }
MemoryLimit::~MemoryLimit() { most = kNone; }

}  // namespace fuzz
}  // namespace caffe

extern "C" void* __wrap_malloc(size_t bytes) {
  return caffe::fuzz::IsThere(bytes) ? __real_malloc(bytes) : nullptr;
}

// AddressSanitizer's own ends the process where there is no memory.
void* operator new(size_t bytes) {
  void* memory = caffe::fuzz::IsThere(bytes) ? __real_malloc(bytes) : nullptr;
  if (!memory) throw std::bad_alloc();
  return memory;
}
void* operator new[](size_t bytes) { return operator new(bytes); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }
