#include "caffe_acu/util/hdf5_values.hpp"

#include <glog/logging.h>
#include <hdf5_hl.h>

#include <climits>
#include <vector>

namespace caffe {
namespace {

constexpr int kMostAxes = 32;  // HDF5's own limit

// The number of values; `bytes` of each.
hsize_t Values(hid_t place, const std::string& name, H5T_class_t wanted, size_t* bytes) {
  int axes = 0;
  hsize_t sizes[kMostAxes] = {};
  H5T_class_t found = H5T_NO_CLASS;
  CHECK(H5LTfind_dataset(place, name.c_str()) && H5LTget_dataset_ndims(place, name.c_str(), &axes) >= 0 &&
        H5LTget_dataset_info(place, name.c_str(), sizes, &found, bytes) >= 0)
      << "there is no data set \"" << name << "\" in the HDF5 file, or it is damaged";
  CHECK(found == wanted) << "the data set \"" << name << "\" of the HDF5 file is of another type";
  hsize_t values = 1;
  for (int i = 0; i < axes; ++i) {
    CHECK(sizes[i] <= INT_MAX && values * sizes[i] <= INT_MAX)
        << "the data set \"" << name << "\" of the HDF5 file is too large";
    values *= sizes[i];
  }
  return values;
}

}  // namespace

int Hdf5Int(hid_t place, const std::string& name) {
  size_t bytes = 0;
  const hsize_t values = Values(place, name, H5T_INTEGER, &bytes);
  CHECK_EQ(values, 1) << "the data set \"" << name << "\" of the HDF5 file is no single number";
  int value = 0;
  CHECK_GE(H5LTread_dataset_int(place, name.c_str(), &value), 0)
      << "the data set \"" << name << "\" of the HDF5 file cannot be read";
  return value;
}

std::string Hdf5Text(hid_t place, const std::string& name) {
  size_t bytes = 0;
  const hsize_t values = Values(place, name, H5T_STRING, &bytes);
  const hid_t set = H5Dopen2(place, name.c_str(), H5P_DEFAULT), type = H5Dget_type(set);
  const bool any_length = H5Tis_variable_str(type) != 0;
  H5Tclose(type);
  H5Dclose(set);
  CHECK(values == 1 && !any_length) << "the data set \"" << name << "\" of the HDF5 file is no single text";
  std::vector<char> text(bytes + 1, '\0');  // those of other programs need not end
  CHECK_GE(H5LTread_dataset_string(place, name.c_str(), text.data()), 0)
      << "the data set \"" << name << "\" of the HDF5 file cannot be read";
  return text.data();
}

int Hdf5Dimension(hsize_t size, const char* name) {
  CHECK_LE(size, INT_MAX) << "the data set \"" << name << "\" of the HDF5 file is too large";
  return static_cast<int>(size);
}

}  // namespace caffe
