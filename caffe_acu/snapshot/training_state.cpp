// The members of Solver that patch 0011 declares: what is not in weights and history, where data layers read, and
// random numbers.
#include <glog/logging.h>

#include <functional>
#include <locale>
#include <set>
#include <sstream>
#include <string>

#include "caffe/solver.hpp"
#include "caffe/util/rng.hpp"
#include "caffe_acu/gpu/random.hpp"
#include "caffe_acu/layers/layer_error.hpp"
#include "caffe_acu/snapshot/reads_on.hpp"

namespace caffe {
namespace {

// Calls body(net, layer) for each layer that makes data, of the training net, which is 0, and of the test nets.
template <typename Dtype>
void ForEachSource(Solver<Dtype>* solver, const std::function<void(int, Layer<Dtype>*)>& body) {
  const int nets = 1 + static_cast<int>(solver->test_nets().size());
  for (int i = 0; i < nets; ++i) {
    const shared_ptr<Net<Dtype>> net = i == 0 ? solver->net() : solver->test_nets()[i - 1];
    for (const auto& layer : net->layers()) {
      const LayerParameter& param = layer->layer_param();
      if (param.bottom_size() == 0 && param.top_size()) body(i, layer.get());
    }
  }
}

void SaveRandom(TrainingState* saved) {
  std::ostringstream random;
  random.imbue(std::locale::classic());
  random << *caffe_rng();
  saved->set_random(random.str());
#ifndef CPU_ONLY
  if (Caffe::mode() != Caffe::GPU) return;
  saved->set_gpu_seed(PlaceOfGpuRandom().seed);
  saved->set_gpu_drawn(PlaceOfGpuRandom().drawn);
#endif
}

void RestoreRandom(const TrainingState& saved) {
  std::istringstream random(saved.random() + "\n");  // Boost looks for what separates a number from the next
  random.imbue(std::locale::classic());
  rng_t generator;
  random >> generator;
  LOG_IF(FATAL, random.fail()) << "the random numbers of the solverstate are damaged";
  *caffe_rng() = generator;
#ifndef CPU_ONLY
  if (Caffe::mode() == Caffe::GPU && saved.has_gpu_seed()) {
    CURAND_CHECK(SeedGpuRandom(Caffe::curand_generator(), saved.gpu_seed(), saved.gpu_drawn()));
  }
#endif
  // What is saved is that of the first of several solvers; the others need random numbers of their own.
  if (!Caffe::root_solver()) Caffe::set_random_seed(caffe_rng_rand() + Caffe::solver_rank());
}

}  // namespace

template <typename Dtype>
void Solver<Dtype>::SaveTrainingState(SolverState* state) {
  if (before_tests_.has_iter() && before_tests_.iter() == iter_) {
    *state->mutable_training_state() = before_tests_.training_state();
    return;
  }
  state->set_iter(iter_);
  TrainingState* saved = state->mutable_training_state();
  saved->Clear();
  SaveRandom(saved);
  ForEachSource<Dtype>(this, [&](int net, Layer<Dtype>* layer) {
    const auto* reader = dynamic_cast<const ReadsOn*>(layer);
    if (!reader) return;
    DataState* place = saved->add_data();
    place->set_net(net);
    place->set_layer(layer->layer_param().name());
    reader->SavePlace(place);
  });
}

// A state that another Caffe wrote leaves everything as it is, and says so.
template <typename Dtype>
void Solver<Dtype>::RestoreTrainingState(const SolverState& state) {
  before_tests_.Clear();
  if (!state.has_training_state()) {
    LOG(WARNING) << "The solverstate does not tell where its training had read: data begin anew, and so do random "
                    "numbers.";
    return;
  }
  const TrainingState& saved = state.training_state();
  static const std::set<std::string> stateless = {"Input", "DummyData", "Parameter"};
  ForEachSource<Dtype>(this, [&](int net, Layer<Dtype>* layer) {
    auto* const reader = dynamic_cast<ReadsOn*>(layer);
    for (const DataState& place : saved.data()) {
      const bool its_own = place.net() == net && place.layer() == layer->layer_param().name();
      if (reader && its_own) return reader->ReadOnFrom(place);
    }
    if (stateless.count(layer->type())) return;
    LOG(WARNING) << LayerLabel(layer->layer_param()) << "begins to read anew: "
                 << (reader ? "the solverstate does not know it" : "layers of its type do not tell where they are");
  });
  RestoreRandom(saved);  // last, since threads that begin to read draw from it
}

template void Solver<float>::SaveTrainingState(SolverState* state);
template void Solver<double>::SaveTrainingState(SolverState* state);
template void Solver<float>::RestoreTrainingState(const SolverState& state);
template void Solver<double>::RestoreTrainingState(const SolverState& state);

}  // namespace caffe
