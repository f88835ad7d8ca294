#ifndef CAFFE_ACU_FUZZ_SMALL_SOLVER_HPP_
#define CAFFE_ACU_FUZZ_SMALL_SOLVER_HPP_

#include <string>

#include "caffe/sgd_solvers.hpp"
#include "caffe_acu/fuzz/small_net.hpp"

namespace caffe {
namespace fuzz {

/// A solver that trains SmallNet, restored from a file.
class SmallSolver {
 public:
  SmallSolver() : solver_(Parameters()) {}
  void Restore(const std::string& path) { solver_.Restore(path.c_str()); }
  /// Two iterations: the second computes with what the first has made of the history.
  void Train() { solver_.Step(2); }
  Solver<float>* get() { return &solver_; }

 private:
  static SolverParameter Parameters() {
    SolverParameter param;
    *param.mutable_net_param() = SmallNet(TRAIN);
    param.set_base_lr(0.01);
    param.set_momentum(0.9);
    param.set_weight_decay(0.001);
    param.set_lr_policy("multistep");
    param.set_gamma(0.5);
    param.add_stepvalue(10);
    param.add_stepvalue(20);
    param.set_solver_mode(SolverParameter::CPU);
    return param;
  }

  SGDSolver<float> solver_;
};

}  // namespace fuzz
}  // namespace caffe

#endif  // CAFFE_ACU_FUZZ_SMALL_SOLVER_HPP_
