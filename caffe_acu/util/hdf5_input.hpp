#ifndef CAFFE_ACU_UTIL_HDF5_INPUT_HPP_
#define CAFFE_ACU_UTIL_HDF5_INPUT_HPP_

#include <hdf5.h>

#include <string>

namespace caffe {

/// An HDF5 file to be read. It is closed in any case, with the groups that an Error has left open: HDF5 itself keeps the
/// file and its memory for as long as one of them is. While it lives, HDF5 does not print its own account of what is
/// wrong, which is a page long.
class Hdf5Input {
 public:
  /// Throws Error if there is no such file, or if it is not HDF5.
  explicit Hdf5Input(const std::string& path);
  ~Hdf5Input();
  Hdf5Input(const Hdf5Input&) = delete;
  Hdf5Input& operator=(const Hdf5Input&) = delete;

  operator hid_t() const { return file_; }

 private:
  hid_t file_;
  H5E_auto2_t print_;
  void* print_to_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_HDF5_INPUT_HPP_
