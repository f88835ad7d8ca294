// Positions that run away are reported, once until they are back; those that are no numbers end the training.
#include <google/protobuf/text_format.h>

#include <limits>
#include <string>
#include <vector>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/tests/mode_case.hpp"

namespace caffe {
namespace {

/// Keeps the warnings that come while it lives.
class Warnings : public google::LogSink {
 public:
  Warnings() { google::AddLogSink(this); }
  ~Warnings() override { google::RemoveLogSink(this); }
  void send(google::LogSeverity severity, const char*, const char*, int, const struct tm*, const char* words,
            size_t size) override {
    if (severity == google::GLOG_WARNING) lines.emplace_back(words, size);
  }
  std::vector<std::string> lines;
};

}  // namespace

class PositionBoundTest : public ModeCase {
 protected:
  void SetUp() override {
    ModeCase::SetUp();
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(
        "base_lr: 0.1 lr_policy: 'fixed' max_iter: 100 display: 0 random_seed: 3 snapshot_after_train: false "
        "train_net_param { layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 1 dim: 2 dim: 5 dim: 5 } } } "
        "layer { name: 'acu' type: 'ACU' bottom: 'x' top: 'y' param { } param { } param { lr_mult: 0 } param { lr_mult: 0 } "
        "convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } } "
        "layer { name: 'loss' type: 'Reduction' bottom: 'y' top: 'loss' loss_weight: 1 } }", &param));
    solver_.reset(SolverRegistry<double>::CreateSolver(param));
  }

  Blob<double>* Positions(int blob) { return solver_->net()->layer_by_name("acu")->blobs()[blob].get(); }

  shared_ptr<Solver<double>> solver_;
};

// On a GPU they are looked at every 100 iterations.
TEST_P(PositionBoundTest, ALayerIsReportedOnceUntilItIsBack) {
  PositionStep<double> step;
  step.Collect(*solver_->net());
  Warnings warnings;
  step.Watch(20, 0);
  EXPECT_TRUE(warnings.lines.empty());
  for (const double where : {-20.5, 30.0, 1.0, 21.0}) {
    Positions(2)->mutable_cpu_data()[5] = where;
    step.Watch(20, 100);
    step.Watch(20, 200);
  }
  ASSERT_EQ(warnings.lines.size(), 2u);
  EXPECT_EQ(warnings.lines[0], "ACU layer 'acu': position set 0, synapse 5 is at (-20.5, 0) in iteration 100, further from "
                               "the centre than position_bound, 20 pixels: lower the lr_mult of its positions, or leave "
                               "normalize_gradient on");
  EXPECT_NE(warnings.lines[1].find("is at (21, 0)"), std::string::npos);
  step.Watch(0, 300);
  EXPECT_EQ(warnings.lines.size(), 2u);
}

TEST_P(PositionBoundTest, WhatIsNoNumberEndsTheTraining) {
  Positions(3)->mutable_cpu_data()[7] = std::numeric_limits<double>::infinity();
  PositionStep<double> step;
  step.Collect(*solver_->net());
  EXPECT_ERROR(step.Watch(0, 400), "ACU layer 'acu': position set 0, synapse 7 is at \\(0, inf\\) in iteration 400");
  EXPECT_ERROR(step.Watch(-1, 400), "position_bound is -1; it is a number of pixels");
}

TEST_P(PositionBoundTest, TheSolverWatches) {
  Positions(3)->mutable_cpu_data()[0] = 101;  // the default bound is 100
  Warnings warnings;
  solver_->Step(2);
  ASSERT_EQ(warnings.lines.size(), 1u);
  EXPECT_NE(warnings.lines[0].find("synapse 0 is at (-1, 101) in iteration 0"), std::string::npos) << warnings.lines[0];
}

INSTANTIATE_MODES(PositionBoundTest);

}  // namespace caffe
