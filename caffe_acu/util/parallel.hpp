#ifndef CAFFE_ACU_UTIL_PARALLEL_HPP_
#define CAFFE_ACU_UTIL_PARALLEL_HPP_

#include <functional>

namespace caffe {

/// Calls body(0) .. body(count-1), each once, spread over the cores. The bodies must be independent;
/// what they compute must not depend on which thread runs them, so that results have the same bits with
/// any number of threads.
///
/// The threads are oneTBB's: they sleep when idle, where OpenMP's and OpenBLAS's spin and take the cores
/// from other processes. Their number is the number of cores, or CAFFE_ACU_THREADS from the environment.
/// BLAS runs with one thread inside (unless OPENBLAS_NUM_THREADS is set): the images of a batch
/// are what is spread.
void ParallelFor(int count, const std::function<void(int)>& body);

/// While it lives, ParallelFor uses at most `threads` threads. For tests and benchmarks.
class ThreadLimit {
 public:
  explicit ThreadLimit(int threads);
  ~ThreadLimit();
  ThreadLimit(const ThreadLimit&) = delete;
  ThreadLimit& operator=(const ThreadLimit&) = delete;

 private:
  void* control_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_UTIL_PARALLEL_HPP_
