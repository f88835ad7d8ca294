#ifndef CAFFE_ACU_STEP_POSITION_STEP_HPP_
#define CAFFE_ACU_STEP_POSITION_STEP_HPP_

#include <string>
#include <vector>

#include "caffe/net.hpp"

namespace caffe {

/// How the positions of a layer are to be moved. `fixed_synapse` is an index or one of the two marks.
struct PositionRule {
  static constexpr int kNone = -1;      ///< every synapse moves
  static constexpr int kAtOrigin = -2;  ///< the first synapse that sits at exactly (0, 0), if any

  int x_blob = 2;  ///< index of alpha among the layer's blobs, (sets, 1, kh, kw)
  int y_blob = 3;  ///< index of beta
  int fixed_synapse = kAtOrigin;
  bool learn = true;
  bool normalize = true;  ///< equations 15 and 16
  int warmup_iter = 0;    ///< the first iterations, in which positions stay put (section 2.6)

  bool operator==(const PositionRule& other) const;
};

/// A layer whose blobs hold positions. The solver finds such layers by this interface.
class HasPositions {
 public:
  virtual ~HasPositions() = default;
  virtual PositionRule position_rule() const = 0;
};

/**
 * @brief What happens to a position between its gradient and its update.
 *
 * The solver calls, in every iteration and after the gradients of all passes (`iter_size`) and of all
 * GPUs are summed:
 *
 *   Collect -> ClipGradients (passes over what Owns() names) -> division by iter_size -> Normalize
 *   -> for each parameter: Regularize -> Freeze -> ComputeUpdateValue (momentum) -> Freeze
 *
 * The first Freeze keeps weight decay out of the momentum of what stands still; the second keeps old
 * momentum, from a snapshot say, from moving it. Frozen are: everything during the warm-up, everything
 * with learning off or lr_mult 0, and the fixed synapse always. The iteration comes from the solver, so
 * there is no state that a snapshot would have to hold.
 *
 * In GPU mode all of it happens there, and nothing is copied to the host but what Watch looks at.
 */
template <typename Dtype>
class PositionStep {
 public:
  /// Finds the positions of the net on the first call, after weights are loaded; afterwards only looks
  /// whether somebody else has moved a fixed synapse, and then decides anew which it is.
  void Collect(const Net<Dtype>& net);
  /// Warns of synapses that are further than `bound` pixels from the centre in x or y, once for a layer until all of
  /// its synapses are back; 0 warns of none. Throws NotFinite if a position is none. GPUs are asked now and then only.
  void Watch(float bound, int iter);
  /// True for the index (in learnable_params) of a blob of positions.
  bool Owns(int param_id) const;
  /// Gives each synapse's gradient length 1; a zero gradient stays zero.
  void Normalize();
  /// Sets the diff of what stands still in this iteration to exactly 0.
  void Freeze(int param_id, int iter);

 private:
  struct Positions {
    std::string layer, type;
    PositionRule rule;
    int x_id, y_id;  // in learnable_params
    Blob<Dtype>* x;
    Blob<Dtype>* y;
    bool x_frozen, y_frozen;      // lr_mult 0
    shared_ptr<Blob<int>> fixed;  // (sets): a synapse for each, or kNone
    bool is_outside = false;      // and it has been told
  };

  void Add(const Net<Dtype>& net, const Layer<Dtype>& layer, const std::vector<shared_ptr<Blob<Dtype>>>& blobs,
           const PositionRule& rule);
  static void DecideFixed(Positions* positions);
  static void FollowFixed(Positions* positions);

  static void WatchOne(float bound, int iter, Positions* positions);

  bool collected_ = false;
  std::vector<Positions> positions_;
  std::vector<int> owner_;  // for each learnable param its index in positions_, or -1
};

}  // namespace caffe

#endif  // CAFFE_ACU_STEP_POSITION_STEP_HPP_
