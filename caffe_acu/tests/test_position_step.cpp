// What the solver does to positions: equations 15 and 16, warm-up, fixed synapses, and that none of it
// depends on iter_size, clipping, decay, old momentum or a resumed run.
#include <functional>
#include <string>
#include <vector>

#include "caffe/sgd_solvers.hpp"
#include "caffe/solver_factory.hpp"
#include "caffe_acu/tests/active_case.hpp"
#include "caffe_acu/tests/expect_error.hpp"
#include "caffe_acu/tests/host_waits.hpp"
#include "caffe_acu/tests/mode_case.hpp"

namespace caffe {

class PositionStepTest : public ModeCase {
 protected:
  typedef shared_ptr<Solver<double>> SolverPtr;
  typedef std::vector<double> Values;

  struct Options {
    std::string type = "SGD";
    std::string solver = "base_lr: 0.1 ";            // more solver fields
    std::string acu = "";                            // fields of acu_param
    std::string positions = "lr_mult: 1 decay_mult: 0";
    std::string convolution = "";                    // more fields of convolution_param
    std::string layers = "";                         // further layers, between the ACU and the loss
    int batch = 4;
  };

  // An ACU that is to map constant images onto constant targets.
  SolverPtr Make(const Options& o) {
    const std::string batch = std::to_string(o.batch);
    const std::string text =
        "type: '" + o.type + "' lr_policy: 'fixed' max_iter: 100 display: 0 random_seed: 3 snapshot_prefix: '" + folder_ +
        "/s' " + o.solver +
        "train_net_param { "
        "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: " + batch + " dim: 2 dim: 5 dim: 5 } } } "
        "layer { name: 't' type: 'Input' top: 't' input_param { shape { dim: " + batch + " dim: 3 dim: 5 dim: 5 } } } "
        "layer { name: 'acu' type: 'ACU' bottom: 'x' top: 'y' param { name: 'w' } param { } param { name: 'px' " +
        o.positions + " } param { name: 'py' " + o.positions + " } convolution_param { num_output: 3 kernel_size: 3 pad: 1 "
        "weight_filler { type: 'msra' } " + o.convolution + " } acu_param { " + o.acu + " } } " + o.layers +
        "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'y' bottom: 't' } }";
    SolverParameter param;
    CHECK(google::protobuf::TextFormat::ParseFromString(text, &param)) << text;
    SolverPtr solver(SolverRegistry<double>::CreateSolver(param));
    SetData(solver, 0);
    return solver;
  }
  // Fills the inputs with images number `first`, `first` + 1, ...
  void ExpectRecovery(int groups, const Values& dx, const Values& dy);
  static void SetData(const SolverPtr& solver, int first) {
    for (const char* name : {"x", "t"}) {
      Blob<double>* blob = solver->net()->blob_by_name(name).get();
      for (int n = 0; n < blob->shape(0); ++n) {
        Blob<double> image(1, blob->shape(1), 5, 5);
        FillGaussian(&image, 100 * (first + n) + (name[0] == 't'));
        std::copy_n(image.cpu_data(), image.count(), blob->mutable_cpu_data() + blob->offset(n));
      }
    }
  }
  // The same solver with a convolution in the place of the ACU, and its weights.
  static SolverPtr WithConvolution(const SolverPtr& acu) {
    SolverParameter param = acu->param();
    LayerParameter* layer = param.mutable_train_net_param()->mutable_layer(2);
    layer->set_type("Convolution");
    layer->clear_acu_param();
    layer->mutable_param()->RemoveLast();
    layer->mutable_param()->RemoveLast();
    const SolverPtr convolution(SolverRegistry<double>::CreateSolver(param));
    SetData(convolution, 0);
    Param(convolution, 0)->CopyFrom(*Param(acu, 0));
    return convolution;
  }
  static Blob<double>* Param(const SolverPtr& solver, int index, const std::string& layer = "acu") {
    return solver->net()->layer_by_name(layer)->blobs()[index].get();
  }
  static Values Data(const Blob<double>* blob) { return {blob->cpu_data(), blob->cpu_data() + blob->count()}; }
  // x and y of all synapses.
  static Values Positions(const SolverPtr& solver) {
    Values values = Data(Param(solver, 2));
    const Values y = Data(Param(solver, 3));
    values.insert(values.end(), y.begin(), y.end());
    return values;
  }
  static void ExpectNear(const Values& a, const Values& b, double tolerance) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], tolerance) << i;
  }

  static constexpr double kRate = 0.1f;  // as the solver, which reads single precision, has it
  const Values start_ = {-1, 0, 1, -1, 0, 1, -1, 0, 1, -1, -1, -1, 0, 0, 0, 1, 1, 1};
};

TEST_P(PositionStepTest, AStepHasTheLengthOfTheRateAndTheDirectionOfTheGradient) {
  const SolverPtr solver = Make(Options());
  solver->net()->ForwardBackward();
  const Values gx(Param(solver, 2)->cpu_diff(), Param(solver, 2)->cpu_diff() + 9);
  const Values gy(Param(solver, 3)->cpu_diff(), Param(solver, 3)->cpu_diff() + 9);
  solver->Step(1);
  for (int k = 0; k < 9; ++k) {
    const double length = std::sqrt(gx[k] * gx[k] + gy[k] * gy[k]);
    EXPECT_GT(std::abs(length - 1), 1e-3);  // the raw gradient, outside the step, is not normalised
    const double rate = k == 4 ? 0 : kRate;   // the synapse at the origin is fixed
    EXPECT_NEAR(Param(solver, 2)->cpu_data()[k], start_[k] - rate * gx[k] / length, 1e-12);
    EXPECT_NEAR(Param(solver, 3)->cpu_data()[k], start_[k + 9] - rate * gy[k] / length, 1e-12);
  }
}

TEST_P(PositionStepTest, RawGradientsWithoutNormalisation) {
  Options o;
  o.acu = "normalize_gradient: false fixed_synapse: -1";
  const SolverPtr solver = Make(o);
  solver->net()->ForwardBackward();
  const Values gx(Param(solver, 2)->cpu_diff(), Param(solver, 2)->cpu_diff() + 9);
  solver->Step(1);
  for (int k = 0; k < 9; ++k) EXPECT_NEAR(Param(solver, 2)->cpu_data()[k], start_[k] - kRate * gx[k], 1e-12);
}

TEST_P(PositionStepTest, AZeroGradientGivesAZeroStep) {
  const SolverPtr solver = Make(Options());
  caffe_set(Param(solver, 0)->count(), 0., Param(solver, 0)->mutable_cpu_data());  // no weight, no gradient
  solver->Step(1);
  EXPECT_EQ(Positions(solver), start_);
}

TEST_P(PositionStepTest, IterSizeDoesNotChangeThePositions) {
  // Two passes over 4 images, or one over 8.
  Options halves, whole;
  halves.solver += "iter_size: 2 momentum: 0.9 weight_decay: 0.01 ";
  whole.solver += "momentum: 0.9 weight_decay: 0.01 ";
  whole.batch = 8;
  const SolverPtr two = Make(halves), one = Make(whole);
  struct Alternate : public Net<double>::Callback {
    explicit Alternate(std::function<void(int)> set) : set_data(set) {}
    void run(int layer) override {
      if (layer == 0) set_data(pass++ % 2 * 4);
    }
    std::function<void(int)> set_data;
    int pass = 0;
  } alternate([&two](int first) { SetData(two, first); });
  two->net()->add_before_forward(&alternate);
  two->Step(5);
  one->Step(5);
  ExpectNear(Positions(two), Positions(one), 1e-9);
  ExpectNear(Data(Param(two, 0)), Data(Param(one, 0)), 1e-9);
  EXPECT_GT(std::abs(Positions(one)[0] - start_[0]), 0.1);
}

TEST_P(PositionStepTest, ClippingNeitherCountsNorScalesPositions) {
  // Weights' gradient is clipped to half its length; positions take the step they always take.
  const SolverPtr free = Make(Options());
  free->net()->ForwardBackward();
  const double norm = std::sqrt(Param(free, 0)->sumsq_diff() + Param(free, 1)->sumsq_diff());
  const Values before = Data(Param(free, 0));
  free->net()->ClearParamDiffs();
  Options o;
  o.solver += "clip_gradients: " + std::to_string(norm / 2) + " ";
  const SolverPtr clipped = Make(o);
  free->Step(1);
  clipped->Step(1);
  ExpectNear(Positions(free), Positions(clipped), 1e-12);
  for (int i = 0; i < Param(free, 0)->count(); ++i) {
    EXPECT_NEAR(2 * (Param(clipped, 0)->cpu_data()[i] - before[i]), Param(free, 0)->cpu_data()[i] - before[i], 1e-6);
  }
}

TEST_P(PositionStepTest, FrozenMeansExactlyStillForEverySolver) {
  for (const char* type : {"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"}) {
    SCOPED_TRACE(type);
    const std::string t = type;
    Options o;
    o.type = type;
    o.positions = "lr_mult: 1 decay_mult: 1";
    o.solver = "base_lr: 0.1 weight_decay: 0.5 ";
    if (t != "AdaGrad" && t != "RMSProp") o.solver += "momentum: 0.9 ";
    if (t == "RMSProp") o.solver += "rms_decay: 0.9 ";
    if (t == "AdaDelta") o.solver += "delta: 1e-6 ";

    o.acu = "warmup_iter: 3";
    const SolverPtr warm = Make(o);
    warm->Step(3);
    EXPECT_EQ(Positions(warm), start_);
    const double weight = Param(warm, 0)->cpu_data()[0];
    warm->Step(1);
    EXPECT_NE(Param(warm, 0)->cpu_data()[0], weight);
    // Moving now, each synapse but the fixed one; and not by what decay alone would have stored up.
    for (int k = 0; k < 9; ++k) {
      EXPECT_EQ(k == 4, Param(warm, 2)->cpu_data()[k] == start_[k]);
      EXPECT_EQ(k == 4, Param(warm, 3)->cpu_data()[k] == start_[k + 9]);
    }
    // Momentum that was built up while moving does not move what is frozen after a resume.
    warm->Snapshot();
    const Values moved = Positions(warm);
    for (const char* frozen : {"warmup_iter: 100", "learn_positions: false"}) {
      o.acu = frozen;
      const SolverPtr resumed = Make(o);
      resumed->Restore((folder_ + "/s_iter_4.solverstate").c_str());
      resumed->Step(2);
      EXPECT_EQ(Positions(resumed), moved) << frozen;
    }
    o.acu = "";
    o.positions = "lr_mult: 0 decay_mult: 1";
    const SolverPtr resumed = Make(o);
    resumed->Restore((folder_ + "/s_iter_4.solverstate").c_str());
    resumed->Step(2);
    EXPECT_EQ(Positions(resumed), moved) << "lr_mult: 0";
  }
}

TEST_P(PositionStepTest, FrozenDecayStoresUpNoMomentum) {
  // With a gradient of zero and decay on, the first step after the warm-up is one decay step, as
  // if there had been no warm-up.
  Options o;
  o.solver = "base_lr: 0.1 weight_decay: 0.5 momentum: 0.9 ";
  o.positions = "lr_mult: 1 decay_mult: 1";
  o.acu = "warmup_iter: 10";
  const SolverPtr solver = Make(o);
  caffe_set(Param(solver, 0)->count(), 0., Param(solver, 0)->mutable_cpu_data());
  const auto hold_weights = [&] {
    caffe_set(Param(solver, 0)->count(), 0., Param(solver, 0)->mutable_cpu_data());
    solver->Step(1);
  };
  for (int i = 0; i < 11; ++i) hold_weights();
  EXPECT_NEAR(Param(solver, 2)->cpu_data()[0], -1 + kRate * 0.5, 1e-12);
}

TEST_P(PositionStepTest, AResumedRunEqualsAnUninterruptedOne) {
  for (int stop : {2, 5, 7}) {  // in the warm-up, at its end, after it
    Options o;
    o.solver += "momentum: 0.9 ";
    o.acu = "warmup_iter: 5";
    const SolverPtr whole = Make(o);
    whole->Step(10);
    const SolverPtr first = Make(o);
    first->Step(stop);
    first->Snapshot();
    const SolverPtr second = Make(o);
    second->Restore((folder_ + "/s_iter_" + std::to_string(stop) + ".solverstate").c_str());
    EXPECT_EQ(second->iter(), stop);
    second->Step(10 - stop);
    EXPECT_EQ(Data(Param(whole, 0)).size(), Data(Param(second, 0)).size());
    // Snapshots hold single precision.
    ExpectNear(Data(Param(whole, 0)), Data(Param(second, 0)), 1e-5);
    ExpectNear(Positions(whole), Positions(second), 1e-5);
    EXPECT_NE(Positions(whole), start_);
  }
}

TEST_P(PositionStepTest, PositionsSharedByNameAreNormalisedOnce) {
  Options o;
  const std::string second =
      "layer { name: 'acu2' type: 'ACU' bottom: 'y' top: 'y2' param { } param { } param { name: 'px' } "
      "param { name: 'py' } convolution_param { num_output: 3 kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } "
      "acu_param { ACU } } layer { name: 'sum' type: 'Eltwise' bottom: 'y' bottom: 'y2' top: 'unused' } "
      "layer { name: 'silence' type: 'Silence' bottom: 'unused' } "
      "layer { name: 'loss2' type: 'EuclideanLoss' bottom: 'y2' bottom: 't' } ";
  const auto with = [&](const std::string& acu) {
    std::string layers = second;
    layers.replace(layers.find("ACU }"), 3, acu);
    return layers;
  };
  o.layers = with("");
  const SolverPtr solver = Make(o);
  solver->net()->ForwardBackward();
  const double gx = Param(solver, 2)->cpu_diff()[0], gy = Param(solver, 3)->cpu_diff()[0];
  solver->Step(1);
  EXPECT_NEAR(Param(solver, 2)->cpu_data()[0], -1 - kRate * gx / std::hypot(gx, gy), 1e-12);
  EXPECT_EQ(Data(Param(solver, 2)), Data(Param(solver, 2, "acu2")));

  o.layers = with("warmup_iter: 5");
  const SolverPtr at_odds = Make(o);
  EXPECT_ERROR(at_odds->Step(1), "'acu' and 'acu2' share positions: they must .* agree on");
}

TEST_P(PositionStepTest, TheFixedSynapseIsTheOneThatWasLoadedAtTheOrigin) {
  const SolverPtr solver = Make(Options());
  // Weights in the authors' order: the origin comes first, synapse 4 is a corner.
  const Values ring_x = {0, 1, 1, 0, -1, -1, -1, 0, 1}, ring_y = {0, 0, 1, 1, 1, 0, -1, -1, -1};
  const auto load = [&] {
    std::copy(ring_x.begin(), ring_x.end(), Param(solver, 2)->mutable_cpu_data());
    std::copy(ring_y.begin(), ring_y.end(), Param(solver, 3)->mutable_cpu_data());
  };
  const auto expect_only_first_fixed = [&] {
    for (int k = 0; k < 9; ++k) {
      const bool still = Param(solver, 2)->cpu_data()[k] == ring_x[k] && Param(solver, 3)->cpu_data()[k] == ring_y[k];
      EXPECT_EQ(k == 0, still) << k;
    }
  };
  load();
  solver->Step(1);
  expect_only_first_fixed();
  // Also when they are loaded into a solver that has been running with the raster order.
  std::copy(start_.begin(), start_.begin() + 9, Param(solver, 2)->mutable_cpu_data());
  std::copy(start_.begin() + 9, start_.end(), Param(solver, 3)->mutable_cpu_data());
  solver->Step(1);
  EXPECT_EQ(Param(solver, 2)->cpu_data()[4], 0);
  load();
  solver->Step(1);
  expect_only_first_fixed();
}

TEST_P(PositionStepTest, WithoutASynapseAtTheOriginNoneIsFixed) {
  Options o;
  o.acu = "dilation: 1.0";
  const SolverPtr solver = Make(o);
  Param(solver, 2)->mutable_cpu_data()[4] = 0.5;
  solver->Step(1);
  EXPECT_NE(Param(solver, 2)->cpu_data()[4], 0.5);
}

TEST_P(PositionStepTest, AFixedSynapseThatIsNotAtTheOriginIsWarnedOf) {
  Options o;
  o.acu = "fixed_synapse: 0";
  const SolverPtr solver = Make(o);
  FLAGS_logtostderr = true;
  ::testing::internal::CaptureStderr();
  solver->Step(1);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("Layer 'acu', position set 0: the fixed synapse 0 is not at (0, 0) but at (-1, -1)"),
            std::string::npos) << log;
  EXPECT_EQ(Param(solver, 2)->cpu_data()[0], -1);
}

TEST_P(PositionStepTest, WithoutABiasTheZeroInItsPlaceStays) {
  Options o;
  o.convolution = "bias_term: false";
  o.solver += "momentum: 0.9 weight_decay: 0.1 ";
  const SolverPtr solver = Make(o);
  solver->Step(3);
  EXPECT_EQ(Data(Param(solver, 1)), Values{0});
  EXPECT_NE(Positions(solver), start_);
}

// A net without positions: the step does what upstream's does.
TEST_P(PositionStepTest, OtherLayersAreUntouched) {
  Options o;
  o.solver += "momentum: 0.9 weight_decay: 0.1 ";
  o.acu = "learn_positions: false";
  const SolverPtr acu = Make(o);
  const SolverPtr convolution = WithConvolution(acu);
  acu->Step(4);
  convolution->Step(4);
  ExpectNear(Data(Param(acu, 0)), Data(Param(convolution, 0)), 1e-10);
}

#ifndef CPU_ONLY
TEST_P(PositionStepTest, TheHostWaitsForTheGPUNoMoreThanWithAConvolution) {
  if (!caffe_acu_emulation_host_waits) {
    std::cout << "skipped: only the emulation counts" << std::endl;
    return;
  }
  const SolverPtr acu = Make(Options());
  const SolverPtr convolution = WithConvolution(acu);
  long waits[2];
  for (int i : {0, 1}) {
    const SolverPtr& solver = i == 0 ? acu : convolution;
    solver->Step(1);  // copies parameters, and makes room
    const long before = caffe_acu_emulation_host_waits();
    solver->Step(5);
    waits[i] = caffe_acu_emulation_host_waits() - before;
  }
  EXPECT_EQ(waits[0], waits[1]);
}
#endif

// Data made by an active convolution with hidden positions; a student that starts on the lattice finds them.
// Each group has 2 channels, 8 outputs and a shape of its own; dx and dy (groups, 9): hidden displacements.
void PositionStepTest::ExpectRecovery(int groups, const Values& dx, const Values& dy) {
  const int channels = 2 * groups, outputs = 8 * groups;
  const std::string type = groups == 1 ? "ACU" : "GroupedACU";
  const std::string net_text =
      "layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: 8 dim: " + std::to_string(channels) +
      " dim: 12 dim: 12 } } } layer { name: 't' type: 'Input' top: 't' input_param { shape { dim: 8 dim: " +
      std::to_string(outputs) + " dim: 12 dim: 12 } } } "
      "layer { name: 'acu' type: '" + type + "' bottom: 'x' top: 'y' param { } param { } param { lr_mult: 10 decay_mult: 0 } "
      "param { lr_mult: 10 decay_mult: 0 } convolution_param { num_output: " +
      std::to_string(outputs) + " group: " + std::to_string(groups) +
      " kernel_size: 3 pad: 1 weight_filler { type: 'msra' } } acu_param { warmup_iter: 200 } } "
      "layer { name: 'loss' type: 'EuclideanLoss' bottom: 'y' bottom: 't' } ";
  SolverParameter param;
  CHECK(google::protobuf::TextFormat::ParseFromString(
      "type: 'Nesterov' base_lr: 0.0002 momentum: 0.9 lr_policy: 'multistep' gamma: 0.1 stepvalue: 1500 stepvalue: 2000 "
      "max_iter: 2500 display: 0 random_seed: 11 snapshot_prefix: '" + folder_ + "/s' train_net_param { " + net_text + "}",
      &param));
  SolverPtr student(SolverRegistry<double>::CreateSolver(param));
  Net<double> teacher(param.train_net_param());
  FillGaussian(teacher.layer_by_name("acu")->blobs()[0].get(), 5);
  for (size_t i = 0; i < dx.size(); ++i) {
    teacher.layer_by_name("acu")->blobs()[2]->mutable_cpu_data()[i] += dx[i];
    teacher.layer_by_name("acu")->blobs()[3]->mutable_cpu_data()[i] += dy[i];
  }
  // Smooth images, since between white-noise pixels a synapse has no gradient to follow.
  const auto draw = [&](int seed) {
    Blob<double> noise(8, channels, 14, 14);
    FillGaussian(&noise, seed);
    Blob<double>* x = student->net()->blob_by_name("x").get();
    for (int i = 0; i < x->count(); ++i) {
      const int n = i / 144, h = i / 12 % 12, w = i % 12;
      double sum = 0;
      for (int r = 0; r < 3; ++r) {
        for (int c = 0; c < 3; ++c) sum += noise.cpu_data()[(n * 14 + h + r) * 14 + w + c];
      }
      x->mutable_cpu_data()[i] = sum / 3;
    }
    teacher.blob_by_name("x")->CopyFrom(*x);
    teacher.Forward();
    student->net()->blob_by_name("t")->CopyFrom(*teacher.blob_by_name("y"));
  };
  for (int i = 0; i < 2500; ++i) {
    draw(i);
    student->Step(1);
  }
  for (size_t i = 0; i < dx.size(); ++i) {
    EXPECT_NEAR(Param(student, 2)->cpu_data()[i], start_[i % 9] + dx[i], 0.05) << i;
    EXPECT_NEAR(Param(student, 3)->cpu_data()[i], start_[i % 9 + 9] + dy[i], 0.05) << i;
  }
}

namespace {

// Up to 0.8 pixels from the lattice.
const std::vector<double> kHiddenX = {-0.6, 0.3, 0.5, -0.5, 0, 0.6, -0.4, 0.35, 0.5};
const std::vector<double> kHiddenY = {-0.5, -0.6, -0.45, 0.4, 0, -0.4, 0.55, 0.6, 0.5};

}  // namespace

TEST_P(PositionStepTest, AStudentRecoversTheTeachersPositions) { ExpectRecovery(1, kHiddenX, kHiddenY); }

// Each group has a shape of its own: the second's is the first's with x and y swapped. (On these images
// 0.35 would be a trap for synapse 7: bilinear interpolation makes local minima.)
TEST_P(PositionStepTest, AStudentRecoversADifferentShapeForEachGroup) {
  Values dx = kHiddenX, dy = kHiddenY;
  dx[7] = -0.35;
  for (int k = 0; k < 9; ++k) {
    const int swapped = k % 3 * 3 + k / 3;
    dx.push_back(dy[swapped]);
    dy.push_back(dx[swapped]);
  }
  ExpectRecovery(2, dx, dy);
}

// The names tell a machine without a GPU what to leave out.
INSTANTIATE_MODES(PositionStepTest);

}  // namespace caffe
