#ifndef CAFFE_ACU_FUZZ_LIBFUZZER_MEMORY_LIMIT_HPP_
#define CAFFE_ACU_FUZZ_LIBFUZZER_MEMORY_LIMIT_HPP_

#include <cstddef>

namespace caffe {
namespace fuzz {

/// While it lives, all that is asked for by malloc in Caffe and by operator new must not exceed so many bytes; beyond
/// them there is no memory. (The sanitizers forbid setrlimit.)
class MemoryLimit {
 public:
  explicit MemoryLimit(size_t bytes);
  ~MemoryLimit();
};

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_ACU_FUZZ_LIBFUZZER_MEMORY_LIMIT_HPP_
