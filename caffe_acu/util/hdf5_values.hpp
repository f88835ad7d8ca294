#ifndef CAFFE_ACU_UTIL_HDF5_VALUES_HPP_
#define CAFFE_ACU_UTIL_HDF5_VALUES_HPP_

#include <hdf5.h>

#include <string>

namespace caffe {

/// What is in a data set; all throw Error if it is something else, where HDF5 would write beyond what is given to it, or
/// leave it as it was.

/// A data set of one number. HDF5 reads one of any size.
int Hdf5Int(hid_t place, const std::string& name);

/// A text of fixed length.
std::string Hdf5Text(hid_t place, const std::string& name);

/// A dimension of a data set, as that of a blob.
int Hdf5Dimension(hsize_t size, const char* name);

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_HDF5_VALUES_HPP_
