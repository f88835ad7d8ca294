// The members of upstream's NCCL that patch 0015 declares or leaves out: training on several GPUs of a machine, with a
// solver for each, in a thread of its own.
#ifdef USE_NCCL
#include <glog/logging.h>

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "caffe/parallel.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe_acu/parallel/peers.hpp"
#include "caffe_acu/util/device.hpp"

namespace caffe {
namespace {

// Ends all threads when one of them has failed, and keeps what that one threw.
class FirstFailure {
 public:
  FirstFailure(ThreadGroup* group, int threads) : group_(group), running_(threads) {}

  // Does the part of one GPU, in its thread.
  template <typename Body>
  void Watch(int gpu, const Body& body) {
    const std::string name = "GPU " + std::to_string(gpu);
    std::exception_ptr failure;
    try {
      body();
    } catch (Error& error) {
      error.SetSolver(name);
      failure = std::current_exception();
    } catch (const std::bad_alloc&) {
      failure = std::make_exception_ptr(Error(__FILE__, __LINE__, name + ": out of memory"));
    } catch (const std::exception& error) {
      failure = std::make_exception_ptr(Error(__FILE__, __LINE__, name + ": " + error.what()));
    }
    End(name, failure);
  }
  // When all threads have ended.
  void Rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  // What a thread may take that is in the midst of an iteration or a snapshot.
  static constexpr std::chrono::seconds kPatience{20};

  void End(const std::string& name, const std::exception_ptr& failure) {
    std::unique_lock<std::mutex> lock(mutex_);
    --running_;
    changed_.notify_all();
    if (!failure || failure_) return;
    failure_ = failure;
    group_->Abort(name + " has failed");
    const bool all_end = changed_.wait_for(lock, kPatience, [this] { return running_ == 0; });
    // Those that wait for the GPU itself, which may be gone, are not to be stopped. Programs end with one line and exit
    // code 1 (tools/last_words.cpp).
    if (!all_end) [&]() noexcept { std::rethrow_exception(failure); }();
  }

  ThreadGroup* const group_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int running_;
  std::exception_ptr failure_;
};

void RequireDifferent(const std::vector<int>& gpus) {
  std::set<int> seen;
  for (int gpu : gpus) {
    RequireDevice(gpu);
    LOG_IF(FATAL, !seen.insert(gpu).second) << "GPU " << gpu << " is named twice. Mend --gpu.";
  }
}

}  // namespace

template <typename Dtype>
void NCCL<Dtype>::Train(int rank, const shared_ptr<ThreadGroup>& group, vector<NCCL<Dtype>*>* nccls) {
  (*nccls)[rank] = this;
  barrier_ = group;
  others_.reset(group->Member(rank).release());
  solver_->add_callback(this);
  if (solver_->param().layer_wise_reduce()) solver_->net()->add_after_backward(this);
  barrier_->wait();
  if (rank == 0) InitSingleProcess(nccls);
  barrier_->wait();
  PeersOptions options;
  options.sum_gradients = false;
  Peers<Dtype>::Join(solver_.get(), others_.get(), ActionCallback(), options);
  Peers<Dtype>::Solve(solver_.get());
  barrier_->wait();  // until then others may read what this solver owns
}

template <typename Dtype>
void NCCL<Dtype>::Run(const vector<int>& gpus, const char* restore) {
  RequireDifferent(gpus);
  const int size = static_cast<int>(gpus.size());
  const auto group = boost::make_shared<ThreadGroup>(size);
  FirstFailure failure(group.get(), size);
  vector<NCCL<Dtype>*> nccls(size);
  std::vector<std::thread> threads;
  for (int rank = 1; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      failure.Watch(gpus[rank], [&] {
        // Before anything else, because Caffe's handles are of the GPU at the first use. Random numbers come from the
        // solver's random_seed, and differ if there is none.
        CUDA_CHECK(cudaSetDevice(gpus[rank]));
        Caffe::set_mode(Caffe::GPU);
        Caffe::set_solver_count(size);
        Caffe::set_solver_rank(rank);
        SolverParameter param(solver_->param());
        param.set_type(solver_->type());
        param.set_device_id(gpus[rank]);
        const shared_ptr<Solver<Dtype>> solver(SolverRegistry<Dtype>::CreateSolver(param));
        if (restore) solver->Restore(restore);
        NCCL<Dtype>(solver).Train(rank, group, &nccls);
      });
    });
  }
  failure.Watch(gpus[0], [&] { Train(0, group, &nccls); });
  for (std::thread& thread : threads) thread.join();
  failure.Rethrow();
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                          \
  template void NCCL<Dtype>::Train(int, const shared_ptr<ThreadGroup>&, vector<NCCL<Dtype>*>*);               \
  template void NCCL<Dtype>::Run(const vector<int>& gpus, const char* restore)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
#endif  // USE_NCCL
