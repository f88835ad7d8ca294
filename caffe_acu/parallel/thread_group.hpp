#ifndef CAFFE_ACU_PARALLEL_THREAD_GROUP_HPP_
#define CAFFE_ACU_PARALLEL_THREAD_GROUP_HPP_

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "caffe_acu/parallel/communicator.hpp"

namespace caffe {

/// Solvers in threads of one process, as those of several GPUs. Sums are made in the order of the ranks.
class ThreadGroup {
 public:
  explicit ThreadGroup(int size);

  /// For one thread; must not outlive the group.
  std::unique_ptr<Communicator> Member(int rank);
  /// Returns when all threads have called it; named as that of boost::barrier, in whose place NCCL has a group.
  void wait();
  /// Whoever waits for the others, now or later, throws an Error that says why. The first reason stays.
  void Abort(const std::string& why);

 private:
  class ThreadCommunicator;

  template <typename Dtype>
  void Sum(int rank, Dtype* values, size_t count);
  void Broadcast(int rank, void* data, size_t bytes);

  const int size_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0, meetings_ = 0;
  std::string aborted_;
  std::vector<void*> data_;  // of each rank
};

}  // namespace caffe

#endif  // CAFFE_ACU_PARALLEL_THREAD_GROUP_HPP_
