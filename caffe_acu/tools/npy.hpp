#ifndef CAFFE_ACU_TOOLS_NPY_HPP_
#define CAFFE_ACU_TOOLS_NPY_HPP_

#include <glog/logging.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace caffe {

/// Writes float32 values in C order as NumPy's numpy.save does; ends the program if it cannot.
inline void WriteNpy(const std::filesystem::path& path, const std::vector<int>& shape, const float* values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  size_t count = 1;
  for (const int size : shape) {
    header += std::to_string(size) + ",";
    count *= size;
  }
  header += "), }";
  constexpr size_t kStart = 10, kAlignment = 64;  // magic, version and length; where the values may begin
  header.append(kAlignment - (kStart + header.size() + 1) % kAlignment, ' ');
  header += '\n';
  const uint16_t length = static_cast<uint16_t>(header.size());
  const char start[kStart + 1] = {'\x93', 'N', 'U', 'M', 'P', 'Y', 1, 0, static_cast<char>(length & 255),
                                  static_cast<char>(length >> 8), 0};
  std::ofstream file(path, std::ios::binary);
  file.write(start, kStart);
  file << header;
  file.write(reinterpret_cast<const char*>(values), count * sizeof(float));
  file.close();
  CHECK(file) << path << ": cannot be written";
}

}  // namespace caffe

#endif  // CAFFE_ACU_TOOLS_NPY_HPP_
