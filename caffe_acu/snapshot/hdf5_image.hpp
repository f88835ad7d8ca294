#ifndef CAFFE_ACU_SNAPSHOT_HDF5_IMAGE_HPP_
#define CAFFE_ACU_SNAPSHOT_HDF5_IMAGE_HPP_

#include <hdf5.h>

#include <string>

namespace caffe {

/// An HDF5 file in memory, until it is written as a whole. (Of a disk that is full, HDF5 itself does not recover: its
/// file cannot be closed any more.)
class Hdf5Image {
 public:
  explicit Hdf5Image(const std::string& path);
  ~Hdf5Image();
  Hdf5Image(const Hdf5Image&) = delete;
  Hdf5Image& operator=(const Hdf5Image&) = delete;

  hid_t file() const { return file_; }
  /// Throws Error if it cannot be written.
  void Write() const;

 private:
  std::string path_;
  hid_t file_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_HDF5_IMAGE_HPP_
