#ifndef CAFFE_ACU_DATA_RECORD_HPP_
#define CAFFE_ACU_DATA_RECORD_HPP_

#include <cstdint>
#include <string_view>

namespace caffe {

/// A record of an LMDB, in the memory map: it is there as long as the cursor that it was taken from.
struct Record {
  std::string_view key, value;
  uint32_t seed = 0;  // of its random numbers (crop, mirror)
};

}  // namespace caffe

#endif  // CAFFE_ACU_DATA_RECORD_HPP_
