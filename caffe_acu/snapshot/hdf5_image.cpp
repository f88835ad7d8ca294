#include "caffe_acu/snapshot/hdf5_image.hpp"

#include <glog/logging.h>

#include "caffe_acu/snapshot/whole_file.hpp"

namespace caffe {
namespace {

constexpr size_t kIncrement = size_t(16) << 20;  // by which the memory grows, in bytes

}  // namespace

Hdf5Image::Hdf5Image(const std::string& path) : path_(path) {
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  const bool on_disk = false;
  H5Pset_fapl_core(access, kIncrement, on_disk);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);  // with the groups that an Error has left open
  file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  H5Pclose(access);
}

Hdf5Image::~Hdf5Image() {
  if (file_ >= 0) H5Fclose(file_);
}

void Hdf5Image::Write() const {
  CHECK_GE(H5Fflush(file_, H5F_SCOPE_LOCAL), 0) << path_ << ": HDF5 cannot make the file; is memory short?";
  const ssize_t size = H5Fget_file_image(file_, nullptr, 0);
  CHECK_GE(size, 0) << path_ << ": HDF5 cannot make the file";
  std::string bytes(size, '\0');
  CHECK_EQ(H5Fget_file_image(file_, &bytes[0], size), size) << path_;
  WriteWhole(path_, bytes);
}

}  // namespace caffe
