#ifndef CAFFE_ACU_SNAPSHOT_READS_ON_HPP_
#define CAFFE_ACU_SNAPSHOT_READS_ON_HPP_

#include "caffe/proto/caffe.pb.h"

namespace caffe {

/// A data layer that can go on from where it, or the same layer of another process, was.
class ReadsOn {
 public:
  virtual ~ReadsOn() = default;
  /// Fills in records and seed.
  virtual void SavePlace(DataState* place) const = 0;
  virtual void ReadOnFrom(const DataState& place) = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_READS_ON_HPP_
