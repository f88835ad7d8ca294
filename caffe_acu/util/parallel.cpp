#include "caffe_acu/util/parallel.hpp"

#include <glog/logging.h>
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>

#include <cstdlib>
#include <memory>

// OpenBLAS has it; weak, because other BLAS libraries do not.
extern "C" void openblas_set_num_threads(int threads) __attribute__((weak));

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

}  // namespace

void ParallelFor(int count, const std::function<void(int)>& body) {
  // Grains of one: the bodies are whole images or chunks of them.
  tbb::parallel_for(0, count, body, tbb::simple_partitioner());
}

ThreadLimit::ThreadLimit(int threads)
    : control_(new tbb::global_control(tbb::global_control::max_allowed_parallelism, threads)) {}

ThreadLimit::~ThreadLimit() { delete static_cast<tbb::global_control*>(control_); }

}  // namespace caffe
