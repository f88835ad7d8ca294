#include "caffe_acu/parallel/peers.hpp"

#include <glog/logging.h>

#include <algorithm>
#include <boost/crc.hpp>
#include <map>
#include <set>
#include <string>

#include "caffe/util/math_functions.hpp"
#include "caffe_acu/layers/layer_error.hpp"
#include "caffe_acu/snapshot/reads_on.hpp"

namespace caffe {
namespace {

// Gradients of a parameter begin at a cache line, as they do in memory of their own.
template <typename Dtype>
constexpr size_t kLine = 64 / sizeof(Dtype);

template <typename Dtype>
std::vector<Layer<Dtype>*> Sources(const Net<Dtype>& net) {
  std::vector<Layer<Dtype>*> sources;
  for (const auto& layer : net.layers()) {
    const LayerParameter& param = layer->layer_param();
    if (param.bottom_size() == 0 && param.top_size()) sources.push_back(layer.get());
  }
  return sources;
}

// Types that make what they need themselves, or get it from the program.
bool ReadsNothing(const std::string& type) {
  static const std::set<std::string> types = {"Input", "DummyData", "Parameter"};
  return types.count(type) > 0;
}

template <typename Dtype>
void WarnOfWhatAllRead(const Net<Dtype>& net) {
  for (const Layer<Dtype>* layer : Sources(net)) {
    const std::string type = layer->type();
    LOG_IF(WARNING, !ReadsNothing(type) && type != "Data" && type != "HDF5Data")
        << LayerLabel(layer->layer_param()) << "gives every solver the same records; layers of type Data do not";
  }
}

}  // namespace

template <typename Dtype>
Peers<Dtype>::Peers(Solver<Dtype>* solver, Communicator* others, const ActionCallback& request,
                    const PeersOptions& options)
    : solver_(solver), others_(others), request_(request ? request : solver->action_request_function_),
      options_(options) {
  CHECK_EQ(others->rank(), Caffe::solver_rank());
  CHECK_EQ(others->size(), Caffe::solver_count());
}

template <typename Dtype>
void Peers<Dtype>::Join(Solver<Dtype>* solver, Communicator* others, const ActionCallback& request,
                        const PeersOptions& options) {
  const shared_ptr<Peers> peers(new Peers(solver, others, request, options));
  const std::vector<Blob<Dtype>*>& params = solver->net()->learnable_params();
  uint32_t values = 0;
  for (const Blob<Dtype>* blob : params) values += blob->count();
  peers->RequireSame(values, "learnable parameters; do they all read the same prototxt?");
  peers->RequireSame(solver->iter(), "iterations already; can they all read the snapshot?");
  if (others->rank() == 0) WarnOfWhatAllRead(*solver->net());
  peers->Broadcast(params);
  peers->ReadTheSame(*solver->net());
  if (options.sum_gradients) peers->LayOutGradients();
  peers->ShareTests();
  solver->add_callback(peers.get());
  if (options.sum_gradients && options.message_bytes) solver->net()->add_after_backward(peers.get());
  solver->SetActionFunction([peers = peers.get()] { return peers->Agreed(); });
  solver->peers_ = peers;
}

template <typename Dtype>
void Peers<Dtype>::Solve(Solver<Dtype>* solver) {
  if (Caffe::root_solver()) {
    solver->Solve();
    solver->peers_->RequireSameParameters();
    return;
  }
  solver->requested_early_exit_ = false;
  const SolverParameter& param = solver->param();
  solver->Step(param.max_iter() - solver->iter());
  const bool tests = param.test_interval() && solver->iter() % param.test_interval() == 0;
  if (tests && !solver->requested_early_exit_ && solver->peers_->shares_tests()) solver->TestAll();
  solver->peers_->RequireSameParameters();
}

template <typename Dtype>
void Peers<Dtype>::RequireSame(uint32_t value, const char* what) {
  of_first_ = value;
  others_->Broadcast(&of_first_, sizeof of_first_);
  LOG_IF(FATAL, value != of_first_) << "rank " << others_->rank() << " has " << value << " " << what
                                    << " Rank 0 has " << of_first_ << ".";
}

template <typename Dtype>
void Peers<Dtype>::RequireSameParameters() {
  const Net<Dtype>& net = *solver_->net();
  boost::crc_32_type sum;
  for (size_t i = 0; i < net.learnable_params().size(); ++i) {
    const Blob<Dtype>& blob = *net.learnable_params()[i];
    if (net.params_lr()[i]) sum.process_bytes(blob.cpu_data(), blob.count() * sizeof(Dtype));
  }
  const std::string what = "as the checksum of its parameters at iteration " + std::to_string(solver_->iter()) +
                           ": the sums of the gradients were not the same on all.";
  RequireSame(sum.checksum(), what.c_str());
}

template <typename Dtype>
void Peers<Dtype>::Broadcast(const std::vector<Blob<Dtype>*>& blobs) {
  size_t count = 0;
  for (const Blob<Dtype>* blob : blobs) count += blob->count();
  std::vector<Dtype> values(count);
  Dtype* place = values.data();
  for (const Blob<Dtype>* blob : blobs) {
    caffe_copy(blob->count(), others_->rank() ? place : blob->cpu_data(), place);
    place += blob->count();
  }
  if (count) others_->Broadcast(values.data(), count * sizeof(Dtype));
  if (others_->rank() == 0) return;
  place = values.data();
  for (Blob<Dtype>* blob : blobs) {
    std::copy(place, place + blob->count(), blob->mutable_cpu_data());
    place += blob->count();
  }
}

// One piece of memory, so that few messages do, and nothing is copied for them.
template <typename Dtype>
void Peers<Dtype>::LayOutGradients() {
  const Net<Dtype>& net = *solver_->net();
  std::map<SyncedMemory*, size_t> begin_of;
  for (size_t i = 0; i < net.learnable_params().size(); ++i) {
    if (net.params_lr()[i] == 0) continue;  // has no gradient
    const Blob<Dtype>& blob = *net.learnable_params()[i];
    begin_of[blob.diff().get()] = count_;
    count_ += (blob.count() + kLine<Dtype> - 1) / kLine<Dtype> * kLine<Dtype>;
  }
  gradients_ = memory_.AtLeast(count_);
  std::fill(gradients_, gradients_ + count_, Dtype(0));
  for (const auto& begin : begin_of) begin.first->set_cpu_data(gradients_ + begin.second);
  // A parameter belongs to the first layer that uses it, whose backward pass is the last that adds to it. Parameters
  // are in the order of these layers.
  std::vector<size_t> first(net.layers().size(), count_);
  std::set<SyncedMemory*> seen;
  for (size_t layer = 0; layer < first.size(); ++layer) {
    for (const auto& blob : net.layers()[layer]->blobs()) {
      const auto found = begin_of.find(blob->diff().get());
      if (found != begin_of.end() && seen.insert(found->first).second) {
        first[layer] = std::min(first[layer], found->second);
      }
    }
  }
  for (size_t layer = first.size(); layer-- > 1;) first[layer - 1] = std::min(first[layer - 1], first[layer]);
  complete_from_ = first;
}

template <typename Dtype>
void Peers<Dtype>::ReadTheSame(const Net<Dtype>& net) {
  for (Layer<Dtype>* layer : Sources(net)) {
    auto* const reader = dynamic_cast<ReadsOn*>(layer);
    if (!reader) continue;
    DataState place;
    reader->SavePlace(&place);
    uint64_t values[2] = {place.records(), place.seed()};
    others_->Broadcast(values, sizeof values);
    place.set_records(values[0]);
    place.set_seed(values[1]);
    if (others_->rank()) reader->ReadOnFrom(place);
  }
}

template <typename Dtype>
void Peers<Dtype>::ShareTests() {
  for (const auto& net : solver_->test_nets()) {
    std::vector<ReadsOn*> readers;
    bool all = options_.share_tests;
    for (Layer<Dtype>* layer : Sources(*net)) {
      auto* const reader = dynamic_cast<ReadsOn*>(layer);
      if (reader) readers.push_back(reader);
      all = all && (reader || ReadsNothing(layer->type()));
    }
    test_shares_.push_back(all ? others_->size() : 1);
    if (!all) continue;
    ReadTheSame(*net);
    for (ReadsOn* reader : readers) reader->ShareBatches(others_->rank(), others_->size());
  }
}

template <typename Dtype>
void Peers<Dtype>::Agree(double* loss) {
  const SolverAction::Enum wanted = request_ ? request_() : SolverAction::NONE;
  agreed_ = {*loss, wanted == SolverAction::STOP ? 1. : 0., wanted == SolverAction::SNAPSHOT ? 1. : 0.};
  others_->StartSum(agreed_.data(), agreed_.size());
  others_->Finish();
  *loss = agreed_[0];
  stop_ = stop_ || agreed_[1] > 0;
  snapshot_ = snapshot_ || agreed_[2] > 0;
}

template <typename Dtype>
SolverAction::Enum Peers<Dtype>::Agreed() {
  const bool stop = stop_, snapshot = snapshot_ && others_->rank() == 0;
  stop_ = snapshot_ = false;
  return stop ? SolverAction::STOP : snapshot ? SolverAction::SNAPSHOT : SolverAction::NONE;
}

template <typename Dtype>
Dtype Peers<Dtype>::MeanLoss(Dtype loss) {
  double sum = loss;
  Agree(&sum);
  return sum / others_->size();
}

template <typename Dtype>
void Peers<Dtype>::BeginTests() {
  if (!options_.share_tests) return;
  RequireSameParameters();
  const Net<Dtype>& net = *solver_->net();
  std::vector<Blob<Dtype>*> statistics;  // what no gradient changes
  for (size_t i = 0; i < net.learnable_params().size(); ++i) {
    if (net.params_lr()[i] == 0) statistics.push_back(net.learnable_params()[i]);
  }
  Broadcast(statistics);
}

template <typename Dtype>
int Peers<Dtype>::TestRounds(int test_net, int iterations) const {
  const int shares = test_shares_[test_net];
  return (iterations + shares - 1) / shares;
}

template <typename Dtype>
const std::vector<Blob<Dtype>*>& Peers<Dtype>::TestForward(int test_net, int round, int iterations, Dtype* loss) {
  Net<Dtype>* const net = solver_->test_nets()[test_net].get();
  const int shares = test_shares_[test_net];
  // With nothing left a rank still takes a batch, so that all are at the same place in what they read.
  if (others_->rank() < shares) net->Forward(loss);
  if (options_.share_tests) {
    double none = 0;
    Agree(&none);
  }
  if (round * shares + others_->rank() % shares >= iterations || others_->rank() >= shares) {
    *loss = 0;
    for (Blob<Dtype>* blob : net->output_blobs()) caffe_set(blob->count(), Dtype(0), blob->mutable_cpu_data());
  }
  return net->output_blobs();
}

template <typename Dtype>
void Peers<Dtype>::SumScores(std::vector<Dtype>* scores, Dtype* loss) {
  if (!options_.share_tests) return;
  scores->push_back(*loss);
  others_->StartSum(scores->data(), scores->size());
  others_->Finish();
  *loss = scores->back();
  scores->pop_back();
}

template <typename Dtype>
void Peers<Dtype>::on_start() {
  others_->BeginIteration(solver_->iter());
  unsent_ = count_;
  passes_ = 0;
}

// After the backward pass of a layer, of which there are iter_size in an iteration: the last one completes gradients.
template <typename Dtype>
void Peers<Dtype>::run(int layer) {
  if (layer == static_cast<int>(complete_from_.size()) - 1) ++passes_;
  if (passes_ < solver_->param().iter_size()) return;
  const size_t begin = complete_from_[layer];
  if ((unsent_ - std::min(begin, unsent_)) * sizeof(Dtype) >= options_.message_bytes) Send(begin);
}

template <typename Dtype>
void Peers<Dtype>::Send(size_t begin) {
  if (begin >= unsent_) return;
  others_->StartSum(gradients_ + begin, unsent_ - begin);
  unsent_ = begin;
}

template <typename Dtype>
void Peers<Dtype>::on_gradients_ready() {
  if (!options_.sum_gradients || others_->size() == 1) return;
  Send(0);
  others_->Finish();
  caffe_scal(count_, Dtype(1) / others_->size(), gradients_);
}

INSTANTIATE_CLASS(Peers);

}  // namespace caffe
