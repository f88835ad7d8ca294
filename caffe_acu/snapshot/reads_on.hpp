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
  /// From here on the batches are dealt out to so many layers, of which this is one; for tests, where batches stay whole.
  virtual void ShareBatches(int share, int shares) = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SNAPSHOT_READS_ON_HPP_
