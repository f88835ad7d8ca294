#ifndef CAFFE_ACU_DATA_READ_AHEAD_HPP_
#define CAFFE_ACU_DATA_READ_AHEAD_HPP_

#include <cstddef>
#include <deque>
#include <vector>

#include "caffe/proto/caffe.pb.h"
#include "caffe_acu/data/record.hpp"

namespace caffe {

/**
 * @brief The records that come next. The system is asked for their pages when they are added, long before they are
 * taken, so that the disk has many requests to work on instead of one page fault after the other.
 *
 * It holds the batch that is taken next, and beyond it as many batches as the layer prefetches, at least
 * kLeastRecords and at most kMostBytes.
 */
class ReadAhead {
 public:
  static constexpr size_t kLeastRecords = 128;  // keeps a disk busy where batches are small
  static constexpr size_t kMostBytes = size_t(256) << 20;

  explicit ReadAhead(const DataParameter& data);

  bool WantsMore() const;
  void Add(const Record& record);
  /// The next batch; call it when no more is wanted.
  std::vector<Record> Take();

 private:
  size_t batch_, wanted_;
  std::deque<Record> records_;
  size_t bytes_ = 0;  // of records_
};

}  // namespace caffe

#endif  // CAFFE_ACU_DATA_READ_AHEAD_HPP_
