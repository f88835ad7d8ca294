// The part of NCCL that Caffe uses, between threads of one process, each with a device of its own. On a GPU a call goes
// on behind the host's back; here it returns when all ranks have made it. Sums are made in the order of the ranks, so
// all get the same bits.
#include <nccl.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "caffe_acu/emulation/memory.hpp"

namespace {

struct Call {
  const char* function;
  const void* from;
  void* to;
  size_t count;
  ncclDataType_t type;
  int root;  // of those that have one

  bool Matches(const Call& other) const {
    return std::tuple(std::string(function), count, type, root) ==
           std::tuple(std::string(other.function), other.count, other.type, other.root);
  }
};

// The ranks of one communicator.
class Group {
 public:
  explicit Group(int size) : calls_(size) {}
  int size() const { return static_cast<int>(calls_.size()); }

  // Returns when all ranks have called; `work` is done once, by the last of them.
  template <typename Work>
  void Meet(int rank, const Call& call, const Work& work) {
    std::unique_lock<std::mutex> lock(mutex_);
    calls_[rank] = call;
    if (++waiting_ < size()) {
      const long meeting = meetings_;
      changed_.wait(lock, [&] { return meetings_ != meeting; });
      return;
    }
    RequireTheSame();
    work(calls_);
    waiting_ = 0;
    ++meetings_;
    changed_.notify_all();
  }

 private:
  void RequireTheSame() const {
    for (int rank = 1; rank < size(); ++rank) {
      if (calls_[rank].Matches(calls_[0])) continue;
      std::fprintf(stderr, "NCCL: rank 0 calls %s for %zu values, rank %d %s for %zu\n", calls_[0].function,
                   calls_[0].count, rank, calls_[rank].function, calls_[rank].count);
      std::abort();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  long meetings_ = 0;
  std::vector<Call> calls_;
};

template <typename T>
void Sum(const std::vector<Call>& calls) {
  for (size_t i = 0; i < calls[0].count; ++i) {
    T sum = 0;
    for (const Call& call : calls) sum += static_cast<const T*>(call.from)[i];
    for (const Call& call : calls) static_cast<T*>(call.to)[i] = sum;
  }
}

size_t Bytes(ncclDataType_t type) { return type == ncclDouble ? sizeof(double) : sizeof(float); }

bool IsKnown(ncclDataType_t type) { return type == ncclFloat || type == ncclDouble; }

// Groups that ranks are joining, by their id.
std::mutex joining_mutex;
std::map<std::string, std::weak_ptr<Group>> joining;

std::shared_ptr<Group> GroupOf(const ncclUniqueId& id, int size) {
  const std::lock_guard<std::mutex> lock(joining_mutex);
  std::weak_ptr<Group>& known = joining[std::string(id.internal, sizeof(id.internal))];
  std::shared_ptr<Group> group = known.lock();
  if (!group) known = group = std::make_shared<Group>(size);
  return group;
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Group> group;
  int rank, device;

  void RequireOwn(const char* function, cudaStream_t stream, const void* from, const void* to) const {
    emulation::RequireCurrent(function, device);
    emulation::RequireOwnStream(function, stream);
    emulation::RequireOwnMemory(function, from, to);
  }
};

extern "C" {

const char* ncclGetErrorString(ncclResult_t result) {
  return result == ncclSuccess           ? "no error"
         : result == ncclInvalidArgument ? "invalid argument"
         : result == ncclInvalidUsage    ? "invalid usage"
                                         : "an error of the emulated NCCL";
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static long made = 0;
  const std::lock_guard<std::mutex> lock(joining_mutex);
  *id = ncclUniqueId();
  std::memcpy(id->internal, &++made, sizeof(made));
  return ncclSuccess;
}

ncclResult_t ncclCommInitRank(ncclComm_t* made, int size, ncclUniqueId id, int rank) {
  if (rank < 0 || rank >= size) return ncclInvalidArgument;
  const std::shared_ptr<Group> group = GroupOf(id, size);
  if (group->size() != size) return ncclInvalidArgument;
  *made = new ncclComm{group, rank, emulation::CurrentDevice()};
  group->Meet(rank, {"ncclCommInitRank", nullptr, nullptr, 0, ncclFloat, 0}, [](const std::vector<Call>&) {});
  return ncclSuccess;
}

ncclResult_t ncclCommInitAll(ncclComm_t* made, int size, const int* devices) {
  int present = 0;
  cudaGetDeviceCount(&present);
  const std::set<int> different(devices, devices + size);
  if (static_cast<int>(different.size()) < size) return ncclInvalidUsage;
  if (*different.begin() < 0 || *different.rbegin() >= present) return ncclInvalidArgument;
  const auto group = std::make_shared<Group>(size);
  for (int rank = 0; rank < size; ++rank) made[rank] = new ncclComm{group, rank, devices[rank]};
  return ncclSuccess;
}

ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type, ncclRedOp_t operation,
                           ncclComm_t comm, cudaStream_t stream) {
  if (!IsKnown(type) || operation != ncclSum) return ncclInvalidArgument;
  comm->RequireOwn("ncclAllReduce", stream, from, to);
  comm->group->Meet(comm->rank, {"ncclAllReduce", from, to, count, type, 0},
                    type == ncclDouble ? &Sum<double> : &Sum<float>);
  return ncclSuccess;
}

ncclResult_t ncclBcast(void* values, size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  if (!IsKnown(type) || root < 0 || root >= comm->group->size()) return ncclInvalidArgument;
  comm->RequireOwn("ncclBcast", stream, values, values);
  comm->group->Meet(comm->rank, {"ncclBcast", values, values, count, type, root}, [](const std::vector<Call>& calls) {
    const Call& first = calls[0];
    for (const Call& call : calls) std::memmove(call.to, calls[first.root].from, first.count * Bytes(first.type));
  });
  return ncclSuccess;
}

}  // extern "C"
