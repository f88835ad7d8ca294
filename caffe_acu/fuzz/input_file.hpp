#ifndef CAFFE_ACU_FUZZ_INPUT_FILE_HPP_
#define CAFFE_ACU_FUZZ_INPUT_FILE_HPP_

#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <string_view>

namespace caffe {
namespace fuzz {

/// Bytes as a file in memory, for readers that want a name.
class InputFile {
 public:
  explicit InputFile(std::string_view content) : descriptor_(memfd_create("input", MFD_CLOEXEC)) {
    while (!content.empty()) {
      const ssize_t written = write(descriptor_, content.data(), content.size());
      if (written <= 0) break;
      content.remove_prefix(written);
    }
  }
  ~InputFile() { close(descriptor_); }
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_ACU_FUZZ_INPUT_FILE_HPP_
