#ifndef CAFFE_ACU_PARALLEL_PEERS_HPP_
#define CAFFE_ACU_PARALLEL_PEERS_HPP_

#include <array>
#include <cstdint>
#include <vector>

#include "caffe/solver.hpp"
#include "caffe_acu/parallel/communicator.hpp"
#include "caffe_acu/util/aligned_buffer.hpp"

namespace caffe {

struct PeersOptions {
  bool sum_gradients = true;  ///< false: somebody else does it, as NCCL between GPUs
  bool share_tests = true;    ///< false: rank 0 tests, and the others go on until they need it
  /// Gradients are sent while the backward pass goes on, when so many bytes are complete; 0: all at its end.
  size_t message_bytes = 0;
};

/**
 * @brief One of several solvers that train one network together: what it shares with the others.
 *
 * The gradient is averaged over the ranks before anything is made of it: clipping, the normalized gradient, warm-up and
 * momentum act on the average, once, and weights and positions keep the same bits on all ranks. So does the loss that
 * is displayed; what a signal asks of one rank, all do after the same iteration. The batches of a test are spread over
 * the ranks, with the statistics of batch normalisation of rank 0, which are those that are saved.
 *
 * Training layers read what solver_rank and solver_count (of Caffe) leave them, as upstream's do, from where rank 0 is
 * and with its crops: all ranks together read the images that one solver with their batches in one would.
 */
template <typename Dtype>
class Peers : public Solver<Dtype>::Callback, public Net<Dtype>::Callback {
 public:
  /// Joins a solver, after its weights are loaded or restored, to those of the other ranks, which all call this. From
  /// then on it has the weights of rank 0. `request` is asked after each iteration what this process was asked for; if it
  /// is empty, the solver's own action function. The solver keeps what this makes; `others` must outlive it. Throws if
  /// the ranks do not train the same from the same iteration on; and later, before tests and at the end, if their
  /// parameters are no longer the same.
  static void Join(Solver<Dtype>* solver, Communicator* others, const ActionCallback& request,
                   const PeersOptions& options);
  /// Trains to the end. Rank 0 does as Solver::Solve, which snapshots and logs; the others follow.
  static void Solve(Solver<Dtype>* solver);

  // What the solver calls (patch 0014-peers).
  bool shares_tests() const { return options_.share_tests; }
  Dtype MeanLoss(Dtype loss);
  void BeginTests();
  /// How many passes each rank makes for `iterations` of a test.
  int TestRounds(int test_net, int iterations) const;
  /// A pass, whose outputs and loss are 0 where this rank has none left.
  const std::vector<Blob<Dtype>*>& TestForward(int test_net, int round, int iterations, Dtype* loss);
  void SumScores(std::vector<Dtype>* scores, Dtype* loss);

 protected:
  void on_start() override;
  void on_gradients_ready() override;
  void run(int layer) override;

 private:
  Peers(Solver<Dtype>* solver, Communicator* others, const ActionCallback& request, const PeersOptions& options);
  void RequireSame(uint32_t value, const char* what);
  void RequireSameParameters();
  void Broadcast(const std::vector<Blob<Dtype>*>& blobs);
  void LayOutGradients();
  void ReadTheSame(const Net<Dtype>& net);
  void ShareTests();
  void Agree(double* loss);
  SolverAction::Enum Agreed();
  void Send(size_t begin);

  Solver<Dtype>* const solver_;
  Communicator* const others_;
  const ActionCallback request_;
  const PeersOptions options_;
  std::vector<int> test_shares_;  // among how many ranks the batches of each test net are spread

  AlignedBuffer<Dtype> memory_;
  Dtype* gradients_ = nullptr;         // of all learnable parameters, one after the other
  size_t count_ = 0;
  std::vector<size_t> complete_from_;  // by layer: where what is complete after its backward pass begins
  size_t unsent_ = 0;                  // gradients before this are not sent yet
  int passes_ = 0;                      // backward passes of this iteration
  bool stop_ = false, snapshot_ = false;
  // What is on its way; not on the stack, since another thread may still write to it after an exception.
  std::array<double, 3> agreed_;  // loss, stop, snapshot
  uint32_t of_first_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACU_PARALLEL_PEERS_HPP_
