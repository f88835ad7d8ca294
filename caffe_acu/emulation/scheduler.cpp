#include "caffe_acu/emulation/scheduler.hpp"

#include <boost/context/fiber.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace emulation {

Place place;

namespace {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = 128 << 10;
constexpr size_t kMostSharedBytes = 48 << 10;  // what a launch gets without asking for more

enum class State { kReady, kAtBlockBarrier, kAtWarpBarrier, kDone };

uint3 ThreadIndex(int i, const dim3& size) {
  const unsigned n = static_cast<unsigned>(i);
  return {n % size.x, n / size.x % size.y, n / size.x / size.y};
}

// The threads of one block after another. A fiber runs threads from their beginning to their end until one has to
// wait; only then another fiber is taken. So a kernel without barriers runs at the speed of a loop.
class Block {
 public:
  void Run(const char* kernel, const Configuration& configuration, const std::function<void()>& thread);
  void Wait(State state);
  double Exchange(double value, int from);

  std::vector<char> shared;

 private:
  void RunBlock();
  void Resume(boost::context::fiber* fiber);
  boost::context::fiber MakeFiber();
  bool Release();
  [[noreturn]] void Fail() const;
  bool AllWait(State state, int first, int last) const;
  void Order();

  const char* kernel_ = nullptr;
  const std::function<void()>* thread_ = nullptr;
  int threads_ = 0;
  int started_ = 0;
  int current_ = 0;
  std::vector<int> order_;
  std::vector<State> states_;
  std::vector<double> values_;                   // exchanged in a warp
  std::vector<boost::context::fiber> waiting_;  // by thread
  std::vector<boost::context::fiber> idle_;
  boost::context::fiber scheduler_;
};

Block* block = nullptr;

void Block::Order() {
  const char* text = std::getenv("CAFFE_ACU_EMULATION_ORDER");
  const std::string order = text ? text : "forward";
  order_.resize(threads_);
  std::iota(order_.begin(), order_.end(), 0);
  if (order == "reverse") {
    std::reverse(order_.begin(), order_.end());
  } else if (order.rfind("random:", 0) == 0) {
    std::mt19937 random(static_cast<unsigned>(std::atoi(order.c_str() + 7)));
    std::shuffle(order_.begin(), order_.end(), random);
  } else if (order != "forward") {
    std::fprintf(stderr, "CAFFE_ACU_EMULATION_ORDER=%s: give forward, reverse or random:<seed>\n", text);
    std::abort();
  }
}

// A fiber that runs threads as long as some have not started, and then waits for the next block.
boost::context::fiber Block::MakeFiber() {
  return boost::context::fiber(std::allocator_arg, boost::context::fixedsize_stack(kStackBytes),
                               [this](boost::context::fiber&& scheduler) {
                                 scheduler_ = std::move(scheduler);
                                 while (true) {
                                   while (started_ < threads_) {
                                     current_ = order_[started_++];
                                     place.thread = ThreadIndex(current_, place.block_size);
                                     (*thread_)();
                                     states_[current_] = State::kDone;
                                   }
                                   current_ = -1;
                                   scheduler_ = std::move(scheduler_).resume();
                                 }
                                 return boost::context::fiber();
                               });
}

// Runs a fiber until it gives up, and puts it where it belongs.
void Block::Resume(boost::context::fiber* fiber) {
  boost::context::fiber running = std::move(*fiber);
  running = std::move(running).resume();
  (current_ < 0 ? idle_.emplace_back() : waiting_[current_]) = std::move(running);
}

void Block::Wait(State state) {
  const int me = current_;
  states_[me] = state;
  scheduler_ = std::move(scheduler_).resume();
  current_ = me;
  place.thread = ThreadIndex(me, place.block_size);
}

double Block::Exchange(double value, int from) {
  const int warp = current_ / kWarp * kWarp;
  values_[current_] = value;
  Wait(State::kAtWarpBarrier);
  const double result = values_[warp + from];
  Wait(State::kAtWarpBarrier);  // until all have read
  return result;
}

bool Block::AllWait(State state, int first, int last) const {
  return std::all_of(states_.begin() + first, states_.begin() + last, [=](State s) { return s == state; });
}

// Lets those go on whose barrier is complete. A thread that has returned does not hold up the block's barrier, as
// on a GPU, but it does hold up its warp, whose lanes were all named.
bool Block::Release() {
  bool released = false;
  for (int warp = 0; warp < threads_; warp += kWarp) {
    const int last = std::min(warp + kWarp, threads_);
    if (!AllWait(State::kAtWarpBarrier, warp, last)) continue;
    std::fill(states_.begin() + warp, states_.begin() + last, State::kReady);
    released = true;
  }
  if (released) return true;
  for (const State state : states_) {
    if (state == State::kAtWarpBarrier) Fail();
    released = released || state == State::kAtBlockBarrier;
  }
  std::replace(states_.begin(), states_.end(), State::kAtBlockBarrier, State::kReady);
  return released;
}

void Block::Fail() const {
  std::fprintf(stderr, "%s, block (%u, %u, %u): lanes of a warp wait for others that are elsewhere or have returned\n",
               kernel_, place.block.x, place.block.y, place.block.z);
  std::abort();
}

void Block::RunBlock() {
  std::fill(shared.begin(), shared.end(), static_cast<char>(0xff));
  states_.assign(threads_, State::kReady);
  started_ = 0;
  while (started_ < threads_) {
    boost::context::fiber fiber = idle_.empty() ? MakeFiber() : std::move(idle_.back());
    if (!idle_.empty()) idle_.pop_back();
    Resume(&fiber);
  }
  while (Release()) {
    for (const int i : order_) {
      if (states_[i] == State::kReady) Resume(&waiting_[i]);
    }
  }
}

void Block::Run(const char* kernel, const Configuration& configuration, const std::function<void()>& thread) {
  kernel_ = kernel;
  thread_ = &thread;
  threads_ = static_cast<int>(configuration.block.x * configuration.block.y * configuration.block.z);
  if (threads_ > 1024 || configuration.shared_bytes > kMostSharedBytes || configuration.grid.y > 65535 ||
      configuration.grid.z > 65535) {
    std::fprintf(stderr, "%s: a GPU would refuse this launch\n", kernel);
    std::abort();
  }
  shared.resize(configuration.shared_bytes);
  values_.resize(threads_);
  waiting_.resize(std::max<size_t>(waiting_.size(), threads_));
  Order();
  place.block_size = configuration.block;
  place.grid_size = configuration.grid;
  for (unsigned z = 0; z < configuration.grid.z; ++z) {
    for (unsigned y = 0; y < configuration.grid.y; ++y) {
      for (unsigned x = 0; x < configuration.grid.x; ++x) {
        place.block = {x, y, z};
        RunBlock();
      }
    }
  }
}

}  // namespace

void RunKernel(const char* name, const Configuration& configuration, const std::function<void()>& thread) {
  static std::mutex mutex;
  const std::lock_guard<std::mutex> lock(mutex);
  static Block the_block;
  block = &the_block;
  block->Run(name, configuration, thread);
}

void BlockBarrier() { block->Wait(State::kAtBlockBarrier); }

double Exchange(double value, int from) { return block->Exchange(value, from); }

void* DynamicSharedMemory() { return block->shared.data(); }

}  // namespace emulation
