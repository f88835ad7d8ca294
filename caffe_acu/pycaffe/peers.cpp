// The module caffe._peers: one of several processes that train one network together (python/caffe_acu/distributed).
#include <boost/python.hpp>
#include <glog/logging.h>

#include <memory>
#include <string>

#include "caffe/parallel.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe/util/signal_handler.h"
#include "caffe/util/upgrade_proto.hpp"
#include "caffe_acu/parallel/peers.hpp"
#include "caffe_acu/snapshot/snapshot.hpp"

namespace caffe {
namespace {

namespace bp = boost::python;

class Locked {
 public:
  Locked() : state_(PyGILState_Ensure()) {}
  ~Locked() { PyGILState_Release(state_); }

 private:
  PyGILState_STATE state_;
};

// Lets other threads of Python run, those that send say, as long as none of the layers needs it.
class Unlocked {
 public:
  explicit Unlocked(bool wanted) : state_(wanted ? PyEval_SaveThread() : nullptr) {}
  ~Unlocked() {
    if (state_) PyEval_RestoreThread(state_);
  }

 private:
  PyThreadState* state_;
};

// An object of Python with rank, size and the methods that are called here. What these raise goes through as it is.
class PythonCommunicator : public Communicator {
 public:
  explicit PythonCommunicator(const bp::object& self)
      : self_(self), rank_(bp::extract<int>(self.attr("rank"))), size_(bp::extract<int>(self.attr("size"))) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  void BeginIteration(int iteration) override {
    const Locked locked;
    self_.attr("begin_iteration")(iteration);
  }
  void StartSum(float* values, size_t count) override { StartSum(values, count * sizeof(float), "f"); }
  void StartSum(double* values, size_t count) override { StartSum(values, count * sizeof(double), "d"); }
  void Finish() override {
    const Locked locked;
    self_.attr("finish")();
  }
  void Broadcast(void* data, size_t bytes) override {
    const Locked locked;
    self_.attr("broadcast")(View(data, bytes));
  }

 private:
  static bp::object View(void* data, size_t bytes) {
    return bp::object(bp::handle<>(PyMemoryView_FromMemory(static_cast<char*>(data), bytes, PyBUF_WRITE)));
  }
  void StartSum(void* values, size_t bytes, const char* type) {
    const Locked locked;
    self_.attr("start_sum")(View(values, bytes).attr("cast")(type));
  }

  const bp::object self_;
  const int rank_, size_;
};

bool HasPythonLayer(const std::vector<shared_ptr<Net<float>>>& nets) {
  for (const auto& net : nets) {
    for (const auto& layer : net->layers()) {
      if (std::string(layer->type()) == "Python") return true;
    }
  }
  return false;
}

SolverAction::Enum Action(const std::string& name) {
  if (name == "stop") return SolverAction::STOP;
  if (name == "snapshot") return SolverAction::SNAPSHOT;
  CHECK_EQ(name, "none") << "an effect is stop, snapshot or none";
  return SolverAction::NONE;
}

// GPUs sum gradients themselves.
#ifdef USE_NCCL
std::unique_ptr<Solver<float>::Callback> SumOnGpus(const shared_ptr<Solver<float>>& solver, Communicator* others) {
  std::string id = others->rank() ? std::string(NCCL_UNIQUE_ID_BYTES, '\0') : NCCL<float>::new_uid();
  others->Broadcast(&id[0], id.size());
  std::unique_ptr<NCCL<float>> nccl(new NCCL<float>(solver, id));
  solver->add_callback(nccl.get());
  if (solver->param().layer_wise_reduce()) solver->net()->add_after_backward(nccl.get());
  return nccl;
}
#else
std::unique_ptr<Solver<float>::Callback> SumOnGpus(const shared_ptr<Solver<float>>&, Communicator*) {
  throw Error(__FILE__, __LINE__, "this build has no NCCL, for several GPUs: build it with USE_NCCL (docs/gpu.md)");
}
#endif

// What stays until the process ends if there is an exception: another thread, or NCCL, may still be sending gradients.
struct Training {
  shared_ptr<Solver<float>> solver;
  std::unique_ptr<Solver<float>::Callback> gpus;
};

/// What `train` of caffe_acu.distributed calls. `solver`: a SolverParameter, serialized.
void Train(const std::string& solver_bytes, const std::string& snapshot, const bp::object& communicator,
           size_t message_bytes, const std::string& sigint_effect, const std::string& sighup_effect) {
  SolverParameter param;
  CHECK(param.ParseFromString(solver_bytes)) << "no SolverParameter";
  if (!google::IsGoogleLoggingInitialized()) google::InitGoogleLogging("caffe-acu train");
  PythonCommunicator others(communicator);
  Caffe::set_solver_count(others.size());
  Caffe::set_solver_rank(others.rank());
  Caffe::set_multiprocess(true);
  SignalHandler signals(Action(sigint_effect), Action(sighup_effect));
  auto* const training = new Training;
  const shared_ptr<Solver<float>>& solver = training->solver;
  training->solver.reset(SolverRegistry<float>::CreateSolver(param));
  if (!snapshot.empty()) solver->Restore(snapshot.c_str());
  PeersOptions options;
  options.message_bytes = message_bytes;
  if (Caffe::mode() == Caffe::GPU && others.size() > 1) {
    training->gpus = SumOnGpus(solver, &others);
    options.sum_gradients = false;
  }
  Peers<float>::Join(solver.get(), &others, signals.GetActionFunction(), options);
  const Unlocked unlocked(!HasPythonLayer({solver->net()}) && !HasPythonLayer(solver->test_nets()));
  Peers<float>::Solve(solver.get());
  delete training;
}

// As the program caffe reads them, messages of older versions and mistakes included; serialized.
template <typename Message, void (*read)(const std::string&, Message*)>
bp::object Read(const std::string& path) {
  Message message;
  read(path, &message);
  const std::string bytes = message.SerializeAsString();
  return bp::object(bp::handle<>(PyBytes_FromStringAndSize(bytes.data(), bytes.size())));
}

int GpuCount() {
  int count = 0;
#ifndef CPU_ONLY
  if (cudaGetDeviceCount(&count) != cudaSuccess) return 0;
#endif
  return count;
}

}  // namespace

BOOST_PYTHON_MODULE(_peers) {
  bp::def("train", &Train);
  bp::def("read_solver", &Read<SolverParameter, ReadSolverParamsFromTextFileOrDie>);
  bp::def("read_net", &Read<NetParameter, ReadNetParamsFromTextFileOrDie>);
  bp::def("gpu_count", &GpuCount);
  bp::def("last_good_snapshot", &LastGoodSnapshot);
}

}  // namespace caffe
