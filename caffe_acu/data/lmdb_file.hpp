#ifndef CAFFE_ACU_DATA_LMDB_FILE_HPP_
#define CAFFE_ACU_DATA_LMDB_FILE_HPP_

#include <string>

namespace caffe {

/// What keeps an LMDB from being read, as the end of a sentence that begins with its folder; empty if nothing does. A file
/// that is shorter than it says of itself, as after a copy that was interrupted, ends a process that reads it (SIGBUS), so
/// that is found here.
std::string LmdbDamage(const std::string& folder);

}  // namespace caffe

#endif  // CAFFE_ACU_DATA_LMDB_FILE_HPP_
