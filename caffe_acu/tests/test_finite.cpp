// A training that leaves the finite numbers stops before the update, and says where they ended first.
#include <google/protobuf/text_format.h>

#include <limits>
#include <string>

#include "boost/filesystem.hpp"
#include "caffe/sgd_solvers.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe_acu/snapshot/snapshot.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/tests/mode_case.hpp"

namespace caffe {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

class FiniteTest : public ModeCase {
 protected:
  typedef shared_ptr<Solver<float>> SolverPtr;

  SolverPtr Make(const std::string& more = "lr_policy: 'fixed' ", const std::string& layers = "") {
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(
        "base_lr: 0.1 max_iter: 100 display: 0 random_seed: 3 snapshot_prefix: '" + folder_ + "/s' " +
        more + "train_net_param { "
        "layer { name: 'x' type: 'Input' top: 'x' top: 'label' input_param { shape { dim: 4 dim: 6 } shape { dim: 4 } } } "
        "layer { name: 'first' type: 'InnerProduct' bottom: 'x' top: 'h' inner_product_param { num_output: 5 "
        "weight_filler { type: 'msra' } } } "
        "layer { name: 'second' type: 'InnerProduct' bottom: 'h' top: 'y' inner_product_param { num_output: 3 "
        "weight_filler { type: 'msra' } } } " + layers +
        "layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'y' bottom: 'label' top: 'loss' } }", &param));
    SolverPtr solver(SolverRegistry<float>::CreateSolver(param));
    Blob<float>* x = solver->net()->blob_by_name("x").get();
    for (int i = 0; i < x->count(); ++i) x->mutable_cpu_data()[i] = static_cast<float>(i % 7) - 3;
    for (int i = 0; i < 4; ++i) solver->net()->blob_by_name("label")->mutable_cpu_data()[i] = static_cast<float>(i % 3);
    return solver;
  }
  static Blob<float>* Weights(const SolverPtr& solver, const std::string& layer) {
    return solver->net()->layer_by_name(layer)->blobs()[0].get();
  }
  bool Exists(const std::string& name) const { return boost::filesystem::exists(folder_ + "/" + name); }
};

TEST_P(FiniteTest, AFiniteTrainingGoesOn) { EXPECT_NO_THROW(Make()->Step(3)); }

TEST_P(FiniteTest, DataAreNamed) {
  const SolverPtr solver = Make();
  solver->Step(1);
  solver->net()->blob_by_name("x")->mutable_cpu_data()[5] = kNan;
  EXPECT_ERROR(solver->Step(1), "Input layer 'x': the loss of iteration 1 is -?nan, and what this layer reads is not finite");
  EXPECT_EQ(solver->iter(), 1);
}

TEST_P(FiniteTest, TheFirstLayerOfTheWeightsIsNamedAndNothingIsUpdated) {
  const SolverPtr solver = Make();
  Weights(solver, "second")->mutable_cpu_data()[0] = std::numeric_limits<float>::infinity();
  Weights(solver, "second")->mutable_cpu_data()[1] = kNan;
  const float before = Weights(solver, "first")->cpu_data()[0];
  EXPECT_ERROR(solver->Step(1), "InnerProduct layer 'second': the loss of iteration 0 is .*first weights that are not");
  EXPECT_EQ(Weights(solver, "first")->cpu_data()[0], before);
}

TEST_P(FiniteTest, OutputsThatOverflowAreNamed) {
  const SolverPtr solver = Make("lr_policy: 'fixed' ", "layer { name: 'big' type: 'Power' bottom: 'y' top: 'y' power_param { scale: 1e38 } } "
                                    "layer { name: 'bigger' type: 'Power' bottom: 'y' top: 'y' power_param { scale: 1e38 } } ");
  EXPECT_ERROR(solver->Step(1), "layer 'second': .*first outputs that are not finite");  // its blob, changed in place
}

TEST_P(FiniteTest, NoSnapshotIsMadeOfWeightsThatAreNot) {
  // A branch without a loss, which no loss would betray.
  const SolverPtr solver = Make("lr_policy: 'fixed' snapshot: 2 ", "layer { name: 'idle' type: 'InnerProduct' bottom: 'h' top: 'idle' "
                                "inner_product_param { num_output: 2 } } layer { name: 'end' type: 'Silence' bottom: 'idle' } ");
  solver->Step(2);
  EXPECT_TRUE(Exists("s_iter_2.solverstate"));
  solver->Step(1);
  Weights(solver, "idle")->mutable_cpu_data()[3] = kNan;
  EXPECT_ERROR(solver->Step(1), "layer 'idle': after iteration 4 its weights are not finite, and no snapshot is made");
  EXPECT_FALSE(Exists("s_iter_4.caffemodel"));
  EXPECT_FALSE(Exists("s_iter_4.solverstate"));
  EXPECT_EQ(LastGoodSnapshot(folder_ + "/s"), folder_ + "/s_iter_2.solverstate");
}

TEST_P(FiniteTest, AnExplodingRateStops) {
  const SolverPtr solver = Make("snapshot: 1 lr_policy: 'exp' gamma: 1e6 ");
  EXPECT_ERROR(solver->Step(50), "layer '(first|second|loss)': .*not finite");
  EXPECT_LT(solver->iter(), 50);
  EXPECT_FALSE(LastGoodSnapshot(folder_ + "/s").empty());
}

TEST_P(FiniteTest, AGradientThatIsClippedHasToBeFinite) {
  const SolverPtr solver = Make("lr_policy: 'fixed' clip_gradients: 1 ");
  solver->net()->ForwardBackward();
  Weights(solver, "first")->mutable_cpu_diff()[0] = kNan;
  const float before = Weights(solver, "second")->cpu_data()[0];
  EXPECT_ERROR(solver->ApplyUpdate(), "layer 'first': the length of the gradient of iteration 0 is -?nan, the first gradients");
  EXPECT_EQ(Weights(solver, "second")->cpu_data()[0], before);
}

// The CPU refuses them; a GPU makes a NaN of the loss.
TEST_P(FiniteTest, LabelsOutOfRange) {
  const SolverPtr solver = Make();
  solver->net()->blob_by_name("label")->mutable_cpu_data()[2] = 77;
  EXPECT_ERROR(solver->Step(1), GetParam() == Caffe::CPU ? "layer 'loss': 77 is out of range"
                                                         : "layer 'loss': .*its labels are from 0 to 77");
}

INSTANTIATE_MODES(FiniteTest);

}  // namespace caffe
