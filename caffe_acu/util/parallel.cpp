#include "caffe_acu/util/parallel.hpp"

#include <glog/logging.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <cstdlib>
#include <memory>

// OpenBLAS has it; weak, because other BLAS libraries do not.
extern "C" void openblas_set_num_threads(int threads) __attribute__((weak));

#ifdef CAFFE_ACU_THREAD_SANITIZER
extern "C" void __tsan_acquire(void* at);
extern "C" void __tsan_release(void* at);
#endif

namespace caffe {
namespace {

// Applied when the library is loaded, so that Caffe's own layers, too, leave BLAS at one thread.
struct ThreadSettings {
  ThreadSettings() {
    if (openblas_set_num_threads && !std::getenv("OPENBLAS_NUM_THREADS")) openblas_set_num_threads(1);
    const char* text = std::getenv("CAFFE_ACU_THREADS");
    if (!text) return;
    char* end;
    const long threads = std::strtol(text, &end, 10);
    if (*end != '\0' || threads < 1) {
      LOG(WARNING) << "CAFFE_ACU_THREADS=" << text << " is not a positive number; all cores are used";
      return;
    }
    limit.reset(new tbb::global_control(tbb::global_control::max_allowed_parallelism, threads));
  }
  std::unique_ptr<tbb::global_control> limit;
};
ThreadSettings thread_settings;

#ifdef CAFFE_ACU_THREAD_SANITIZER
// ThreadSanitizer cannot see into oneTBB's library, and is told what a loop orders: what was before it comes before
// all bodies, and these, which have no order among them, before what is after it.
struct Acquire {
  explicit Acquire(void* at) : at(at) {}
  ~Acquire() { __tsan_acquire(at); }
  void* at;
};
struct Release {
  explicit Release(void* at) : at(at) {}
  ~Release() { __tsan_release(at); }
  void* at;
};

void Loop(int count, const std::function<void(int)>& body) {
  char begin, end;
  __tsan_release(&begin);
  const Acquire after_bodies(&end);
  const auto told = [&](int i) {
    __tsan_acquire(&begin);
    const Release after_body(&end);
    body(i);
  };
  tbb::parallel_for(0, count, told, tbb::simple_partitioner());
}
#else
void Loop(int count, const std::function<void(int)>& body) {
  // Grains of one: the bodies are whole images or chunks of them.
  tbb::parallel_for(0, count, body, tbb::simple_partitioner());
}
#endif

}  // namespace

void ParallelFor(int count, const std::function<void(int)>& body) { Loop(count, body); }

ThreadLimit::ThreadLimit(int threads)
    : control_(new tbb::global_control(tbb::global_control::max_allowed_parallelism, threads)) {}

ThreadLimit::~ThreadLimit() { delete static_cast<tbb::global_control*>(control_); }

}  // namespace caffe
