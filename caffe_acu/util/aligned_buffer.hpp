#ifndef CAFFE_ACU_UTIL_ALIGNED_BUFFER_HPP_
#define CAFFE_ACU_UTIL_ALIGNED_BUFFER_HPP_

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "caffe_acu/util/memory.hpp"

namespace caffe {

/// Scratch memory that begins at a cache line, grows to the largest need and stays. Its contents are
/// undefined after AtLeast grew it.
template <typename T>
class AlignedBuffer {
 public:
  T* AtLeast(size_t size) {
    if (size > size_) {
      constexpr size_t kLine = 64;
      const size_t bytes = (size * sizeof(T) + kLine - 1) / kLine * kLine;
      data_.reset();
      size_ = 0;
      data_.reset(static_cast<T*>(std::aligned_alloc(kLine, bytes)));
      if (!data_) OutOfMemory(bytes);
      size_ = size;
    }
    return data_.get();
  }

 private:
  struct Free {
    void operator()(T* p) const { std::free(p); }
  };
  std::unique_ptr<T, Free> data_;
  size_t size_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_ALIGNED_BUFFER_HPP_
