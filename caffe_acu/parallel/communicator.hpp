#ifndef CAFFE_ACU_PARALLEL_COMMUNICATOR_HPP_
#define CAFFE_ACU_PARALLEL_COMMUNICATOR_HPP_

#include <cstddef>

namespace caffe {

/**
 * @brief What solvers that train together say to each other, each of them with a rank from 0 to size - 1.
 *
 * All make the same calls in the same order, and wait for each other. Every call may throw, if a rank is gone say;
 * then none of the solvers can go on.
 */
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Tells that an iteration begins, to whoever measures.
  virtual void BeginIteration(int /*iteration*/) {}
  /// Begins to replace values by their sums over the ranks, which have the same bits on all. Until Finish nobody may
  /// touch them. May wait itself.
  virtual void StartSum(float* values, size_t count) = 0;
  virtual void StartSum(double* values, size_t count) = 0;
  /// Returns when all sums that were begun are there.
  virtual void Finish() = 0;
  /// Replaces bytes by those of rank 0.
  virtual void Broadcast(void* data, size_t bytes) = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACU_PARALLEL_COMMUNICATOR_HPP_
