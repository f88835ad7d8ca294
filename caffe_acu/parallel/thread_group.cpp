#include "caffe_acu/parallel/thread_group.hpp"

#include <glog/logging.h>

#include <cstring>

namespace caffe {

class ThreadGroup::ThreadCommunicator : public Communicator {
 public:
  ThreadCommunicator(ThreadGroup* group, int rank) : group_(group), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return group_->size_; }
  void StartSum(float* values, size_t count) override { group_->Sum(rank_, values, count); }
  void StartSum(double* values, size_t count) override { group_->Sum(rank_, values, count); }
  void Finish() override {}
  void Broadcast(void* data, size_t bytes) override { group_->Broadcast(rank_, data, bytes); }

 private:
  ThreadGroup* group_;
  int rank_;
};

ThreadGroup::ThreadGroup(int size) : size_(size), data_(size) { CHECK_GT(size, 0); }

std::unique_ptr<Communicator> ThreadGroup::Member(int rank) {
  CHECK(rank >= 0 && rank < size_) << rank << " of " << size_;
  return std::unique_ptr<Communicator>(new ThreadCommunicator(this, rank));
}

void ThreadGroup::Abort(const std::string& why) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (aborted_.empty()) aborted_ = why;
  changed_.notify_all();
}

void ThreadGroup::wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  const int meeting = meetings_;
  if (++waiting_ == size_) {
    waiting_ = 0;
    ++meetings_;
    changed_.notify_all();
  }
  changed_.wait(lock, [&] { return meetings_ != meeting || !aborted_.empty(); });
  LOG_IF(FATAL, meetings_ == meeting) << aborted_;
}

template <typename Dtype>
void ThreadGroup::Sum(int rank, Dtype* values, size_t count) {
  data_[rank] = values;
  wait();
  // Each makes a part of the sum, and writes it where all will read it.
  const size_t begin = count * rank / size_, end = count * (rank + 1) / size_;
  for (size_t i = begin; i < end; ++i) {
    Dtype sum = 0;
    for (int r = 0; r < size_; ++r) sum += static_cast<const Dtype*>(data_[r])[i];
    static_cast<Dtype*>(data_[0])[i] = sum;
  }
  wait();
  if (rank) std::memcpy(values, data_[0], count * sizeof(Dtype));
  wait();
}

void ThreadGroup::Broadcast(int rank, void* data, size_t bytes) {
  data_[rank] = data;
  wait();
  if (rank) std::memcpy(data, data_[0], bytes);
  wait();
}

}  // namespace caffe
