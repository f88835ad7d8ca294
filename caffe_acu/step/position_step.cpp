#include "caffe_acu/step/position_step.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "caffe/util/math_functions.hpp"
#include "caffe_acu/step/position_kernels.hpp"

namespace caffe {

bool PositionRule::operator==(const PositionRule& other) const {
  return x_blob == other.x_blob && y_blob == other.y_blob && fixed_synapse == other.fixed_synapse &&
         learn == other.learn && normalize == other.normalize && warmup_iter == other.warmup_iter;
}

namespace {

// A parameter shared by name has one owner in the net; the sharers hold blobs of their own whose
// memory is the owner's.
template <typename Dtype>
int LearnableParamId(const Net<Dtype>& net, const Blob<Dtype>& blob) {
  const vector<Blob<Dtype>*>& params = net.learnable_params();
  for (size_t i = 0; i < params.size(); ++i) {
    if (params[i]->diff() == blob.diff()) return static_cast<int>(i);
  }
  LOG(FATAL) << "a position blob is not among the net's parameters";
  return -1;
}

template <typename Dtype>
void ZeroDiff(Blob<Dtype>* blob) {
#ifndef CPU_ONLY
  if (Caffe::mode() == Caffe::GPU) {
    caffe_gpu_set(blob->count(), Dtype(0), blob->mutable_gpu_diff());
    return;
  }
#endif
  std::fill_n(blob->mutable_cpu_diff(), blob->count(), Dtype(0));
}

// The first synapse that sits at exactly (0, 0), or kNone.
template <typename Dtype>
int SynapseAtOrigin(int synapses, const Dtype* x, const Dtype* y) {
  for (int k = 0; k < synapses; ++k) {
    if (x[k] == 0 && y[k] == 0) return k;
  }
  return PositionRule::kNone;
}

}  // namespace

template <typename Dtype>
void PositionStep<Dtype>::Collect(const Net<Dtype>& net) {
  if (!collected_) {
    collected_ = true;
    owner_.assign(net.learnable_params().size(), -1);
    for (const shared_ptr<Layer<Dtype>>& layer : net.layers()) {
      const auto* has_positions = dynamic_cast<const HasPositions*>(layer.get());
      if (has_positions) Add(net, *layer, layer->blobs(), has_positions->position_rule());
    }
  }
  for (Positions& positions : positions_) FollowFixed(&positions);
}

template <typename Dtype>
void PositionStep<Dtype>::Add(const Net<Dtype>& net, const Layer<Dtype>& layer,
                              const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
                              const PositionRule& rule) {
  Positions added;
  added.layer = layer.layer_param().name();
  added.type = layer.type();
  added.rule = rule;
  added.x_id = LearnableParamId(net, *blobs[rule.x_blob]);
  added.y_id = LearnableParamId(net, *blobs[rule.y_blob]);
  for (const Positions& known : positions_) {
    if (known.x_id != added.x_id && known.y_id != added.y_id) continue;
    CHECK(known.x_id == added.x_id && known.y_id == added.y_id && known.rule == added.rule)
        << "Layers '" << known.layer << "' and '" << added.layer
        << "' share positions: they must share both x and y, and agree on fixed_synapse, "
           "learn_positions, normalize_gradient and warmup_iter";
    return;
  }
  added.x = net.learnable_params()[added.x_id];
  added.y = net.learnable_params()[added.y_id];
  added.x_frozen = net.params_lr()[added.x_id] == 0;
  added.y_frozen = net.params_lr()[added.y_id] == 0;
  DecideFixed(&added);
  owner_[added.x_id] = owner_[added.y_id] = static_cast<int>(positions_.size());
  positions_.push_back(added);
}

template <typename Dtype>
void PositionStep<Dtype>::DecideFixed(Positions* positions) {
  const int sets = positions->x->shape(0);
  const int synapses = positions->x->count(1);
  const Dtype* x = positions->x->cpu_data();
  const Dtype* y = positions->y->cpu_data();
  positions->fixed.reset(new Blob<int>(vector<int>{sets}));
  for (int s = 0; s < sets; ++s, x += synapses, y += synapses) {
    int& fixed = positions->fixed->mutable_cpu_data()[s];
    fixed = positions->rule.fixed_synapse;
    if (fixed == PositionRule::kAtOrigin) {
      fixed = SynapseAtOrigin(synapses, x, y);
    } else if (fixed >= 0 && (x[fixed] != 0 || y[fixed] != 0)) {
      LOG(WARNING) << "Layer '" << positions->layer << "', position set " << s << ": the fixed synapse "
                   << fixed << " is not at (0, 0) but at (" << x[fixed] << ", " << y[fixed]
                   << "). Were weights in another order loaded? Leave out fixed_synapse to fix the "
                      "one at the origin.";
    }
  }
}

template <typename Dtype>
void PositionStep<Dtype>::FollowFixed(Positions* positions) {
  if (positions->rule.fixed_synapse != PositionRule::kAtOrigin) return;
  const int sets = positions->x->shape(0);
  const int synapses = positions->x->count(1);
#ifndef CPU_ONLY
  if (Caffe::mode() == Caffe::GPU) {
    FollowFixedGpu(sets, synapses, positions->x->gpu_data(), positions->y->gpu_data(),
                   positions->fixed->mutable_gpu_data());
    return;
  }
#endif
  const Dtype* x = positions->x->cpu_data();
  const Dtype* y = positions->y->cpu_data();
  int* fixed = positions->fixed->mutable_cpu_data();
  for (int s = 0; s < sets; ++s, x += synapses, y += synapses) {
    if (fixed[s] >= 0 && (x[fixed[s]] != 0 || y[fixed[s]] != 0)) fixed[s] = SynapseAtOrigin(synapses, x, y);
  }
}

template <typename Dtype>
void PositionStep<Dtype>::Watch(float bound, int iter) {
  LOG_IF(FATAL, !(bound >= 0)) << "position_bound is " << bound << "; it is a number of pixels, or 0 for none";
  // Each time the GPU would have to be waited for.
  constexpr int kIterationsOnGpu = 100;
  if (Caffe::mode() == Caffe::GPU && iter % kIterationsOnGpu != 0) return;
  for (Positions& positions : positions_) WatchOne(bound, iter, &positions);
}

template <typename Dtype>
void PositionStep<Dtype>::WatchOne(float bound, int iter, Positions* positions) {
  const int count = positions->x->count(), synapses = positions->x->count(1);
  const Dtype* x = positions->x->cpu_data();
  const Dtype* y = positions->y->cpu_data();
  int furthest = -1;
  Dtype distance = bound > 0 ? Dtype(bound) : std::numeric_limits<Dtype>::infinity();
  for (int i = 0; i < count; ++i) {
    const Dtype here = std::max(std::abs(x[i]), std::abs(y[i]));
    const bool is_finite = std::isfinite(x[i]) && std::isfinite(y[i]);
    if (is_finite && !(here > distance)) continue;
    distance = here;
    furthest = i;
    if (!is_finite) break;
  }
  if (furthest < 0) {
    positions->is_outside = false;
    return;
  }
  std::ostringstream where;
  where << "position set " << furthest / synapses << ", synapse " << furthest % synapses << " is at (" << x[furthest]
        << ", " << y[furthest] << ") in iteration " << iter;
  const std::string cure = "lower the lr_mult of its positions, or leave normalize_gradient on";
  if (!std::isfinite(x[furthest]) || !std::isfinite(y[furthest])) {
    NotFinite error(__FILE__, __LINE__, where.str() + "; " + cure);
    error.SetLayer(positions->layer, positions->type, "");
    throw error;
  }
  LOG_IF(WARNING, !positions->is_outside && Caffe::root_solver())
      << positions->type << " layer '" << positions->layer << "': " << where.str() << ", further from the centre than "
      << "position_bound, " << bound << " pixels: " << cure;
  positions->is_outside = true;
}

template <typename Dtype>
bool PositionStep<Dtype>::Owns(int param_id) const {
  return owner_[param_id] >= 0;
}

template <typename Dtype>
void PositionStep<Dtype>::Normalize() {
  for (const Positions& positions : positions_) {
    if (!positions.rule.normalize) continue;
#ifndef CPU_ONLY
    if (Caffe::mode() == Caffe::GPU) {
      NormalizePositionsGpu(positions.x->count(), positions.x->mutable_gpu_diff(), positions.y->mutable_gpu_diff());
      continue;
    }
#endif
    Dtype* gx = positions.x->mutable_cpu_diff();
    Dtype* gy = positions.y->mutable_cpu_diff();
    for (int i = 0; i < positions.x->count(); ++i) {
      const Dtype length = std::hypot(gx[i], gy[i]);
      if (length == 0) continue;
      gx[i] /= length;
      gy[i] /= length;
    }
  }
}

template <typename Dtype>
void PositionStep<Dtype>::Freeze(int param_id, int iter) {
  if (!Owns(param_id)) return;
  const Positions& positions = positions_[owner_[param_id]];
  const bool is_x = param_id == positions.x_id;
  Blob<Dtype>* blob = is_x ? positions.x : positions.y;
  const bool lr_zero = is_x ? positions.x_frozen : positions.y_frozen;
  if (lr_zero || !positions.rule.learn || iter < positions.rule.warmup_iter) {
    ZeroDiff(blob);
    return;
  }
  const int sets = blob->shape(0), synapses = blob->count(1);
#ifndef CPU_ONLY
  if (Caffe::mode() == Caffe::GPU) {
    FreezeFixedGpu(sets, synapses, positions.fixed->gpu_data(), blob->mutable_gpu_diff());
    return;
  }
#endif
  const int* fixed = positions.fixed->cpu_data();
  for (int s = 0; s < sets; ++s) {
    if (fixed[s] >= 0) blob->mutable_cpu_diff()[s * synapses + fixed[s]] = 0;
  }
}

INSTANTIATE_CLASS(PositionStep);

}  // namespace caffe
