#include "caffe_acu/util/hdf5_input.hpp"

#include <glog/logging.h>

namespace caffe {

Hdf5Input::Hdf5Input(const std::string& path) {
  H5Eget_auto2(H5E_DEFAULT, &print_, &print_to_);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  file_ = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access);
  H5Pclose(access);
  if (file_ >= 0) return;
  H5Eset_auto2(H5E_DEFAULT, print_, print_to_);
  LOG(FATAL) << path << ": cannot be read as an HDF5 file";
}

Hdf5Input::~Hdf5Input() {
  H5Fclose(file_);
  H5Eset_auto2(H5E_DEFAULT, print_, print_to_);
}

}  // namespace caffe
