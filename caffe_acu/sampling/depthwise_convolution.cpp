#include "caffe_acu/sampling/depthwise_convolution.hpp"

#include <algorithm>

#include "caffe_acu/sampling/backward_sums.hpp"
#include "caffe_acu/sampling/depthwise_kernels.hpp"
#include "caffe_acu/util/aligned_buffer.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

// Channels that a task of the backward pass takes at once: neighbours in memory, and few enough for the
// sums of all their taps to stay in the cache.
constexpr int kBlockChannels = 16;
// Multiply-adds of a task of the forward pass, below which starting it would be felt.
constexpr double kTaskWork = 1e6;
// Position sets whose taps are listed in one task.
constexpr int kRunSets = 32;

int DivideUp(int n, int d) { return (n + d - 1) / d; }

}  // namespace

template <typename Dtype>
struct DepthwiseConvolution<Dtype>::Workspace {
  AlignedBuffer<Dtype> slab, gradient_slabs;
  AlignedBuffer<Dtype> slab_gradient;
  AlignedBuffer<Dtype> sums;          // of the taps of a block of channels
  AlignedBuffer<Dtype> coefficients;  // of the calling thread

  static Workspace& OfThisThread() {
    thread_local Workspace workspace;
    return workspace;
  }
  // Borders have to be 0 for RefillSlab; other layers use the same memory.
  static Dtype* Zeroed(AlignedBuffer<Dtype>* buffer, size_t size) {
    Dtype* data = buffer->AtLeast(size);
    std::fill_n(data, size, Dtype(0));
    return data;
  }
};

template <typename Dtype>
DepthwiseConvolution<Dtype>::DepthwiseConvolution(const ActiveConvolutionShape& shape,
                                                  const ActiveConvolutionParameters<Dtype>& parameters)
    : shape_(shape),
      parameters_(parameters),
      whole_plane_{0, 0, shape.geometry.out_height, shape.geometry.out_width},
      plan_(shape.geometry, shape.sets, shape.synapses, parameters.alpha, parameters.beta, whole_plane_.rows,
            whole_plane_.columns, true),
      slab_(plan_.Slab(0, whole_plane_)),
      gradient_slab_(MakeGradientSlab()),
      gradient_slab_size_(gradient_slab_.phase_size + kSlabSlack),
      covered_(slab_.row <= 0 && slab_.column <= 0 && slab_.row + slab_.rows >= shape.geometry.height &&
               slab_.column + slab_.columns >= shape.geometry.width),
      direct_(shape.geometry.stride_h == 1 && shape.geometry.stride_w == 1 && slab_.column <= 0 &&
              slab_.column + slab_.columns >= shape.geometry.width),
      taps_(shape.sets),
      tap_offsets_(4 * static_cast<size_t>(shape.sets) * shape.synapses),
      tap_neighbours_(tap_offsets_.size()) {
  ParallelFor(DivideUp(shape.sets, kRunSets), [&](int run) {
    std::vector<int> index_of_offset(plan_.slab_size(), -1);
    for (int set = run * kRunSets; set < std::min(shape_.sets, (run + 1) * kRunSets); ++set) {
      ListTaps(set, &index_of_offset);
    }
  });
  for (const TapList& taps : taps_) most_taps_ = std::max(most_taps_, taps.count);
}

// index_of_offset: -1 everywhere, before and after.
template <typename Dtype>
void DepthwiseConvolution<Dtype>::ListTaps(int set, std::vector<int>* index_of_offset) {
  const size_t first = 4 * static_cast<size_t>(set) * shape_.synapses;
  TapList& list = taps_[set];
  list.offset = &tap_offsets_[first];
  list.neighbour = &tap_neighbours_[first];
  for (const bool used : {true, false}) {
    for (int k = 0; k < shape_.synapses; ++k) {
      const Tap& tap = plan_.taps(set)[k];
      for (int q = 0; q < 4 && tap.visible; ++q) {
        int& index = (*index_of_offset)[tap.offset[q]];
        if ((tap.weight[q] != 0) == used && index < 0) {
          index = list.count;
          list.offset[list.count++] = tap.offset[q];
        }
      }
    }
    if (used) list.used = list.count;
  }
  for (int k = 0; k < shape_.synapses; ++k) {
    const Tap& tap = plan_.taps(set)[k];
    for (int q = 0; q < 4 && tap.visible; ++q) list.neighbour[4 * k + q] = (*index_of_offset)[tap.offset[q]];
  }
  for (int t = 0; t < list.count; ++t) (*index_of_offset)[list.offset[t]] = -1;
}

template <typename Dtype>
const Dtype* DepthwiseConvolution<Dtype>::MakeCoefficients() const {
  Dtype* coefficients =
      Workspace::Zeroed(&Workspace::OfThisThread().coefficients, static_cast<size_t>(shape_.outputs) * most_taps_);
  for (int d = 0; d < shape_.outputs; ++d) {
    const int set = shape_.set_of(d / shape_.outputs_per_group());
    Dtype* of_output = coefficients + static_cast<size_t>(d) * most_taps_;
    for (int k = 0; k < shape_.synapses; ++k) {
      const Tap& tap = plan_.taps(set)[k];
      if (!tap.visible) continue;
      const double w = parameters_.weight[static_cast<size_t>(d) * shape_.synapses + k];
      for (int q = 0; q < 4; ++q) {
        if (tap.weight[q] != 0) of_output[taps_[set].neighbour[4 * k + q]] += static_cast<Dtype>(w * tap.weight[q]);
      }
    }
  }
  return coefficients;
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::Forward(const Dtype* input, Dtype* output) const {
  const int C = shape_.channels, multiplier = shape_.outputs_per_group();
  const int in_size = shape_.geometry.in_size(), out_size = shape_.geometry.out_size();
  const Dtype* coefficients = MakeCoefficients();
  const int planes = shape_.images * C;
  const double plane_work = static_cast<double>(multiplier) * out_size * std::max(1, most_taps_);
  const int run = static_cast<int>(std::max(1.0, std::min(planes / 64.0, kTaskWork / plane_work)));
  const Grid grid = {whole_plane_.rows, whole_plane_.columns, slab_.pitch};
  ParallelFor(DivideUp(planes, run), [&](int task) {
    Dtype* slab = Workspace::Zeroed(&Workspace::OfThisThread().slab, plan_.slab_size());
    for (int p = task * run; p < std::min(planes, (task + 1) * run); ++p) {
      const int n = p / C, c = p % C;
      const TapList& taps = taps_[shape_.set_of(c)];
      RefillSlab(slab_, input + static_cast<size_t>(p) * in_size, slab);
      for (int d = c * multiplier; d < (c + 1) * multiplier; ++d) {
        SumTaps<Dtype>(grid, taps.used, taps.offset, coefficients + static_cast<size_t>(d) * most_taps_, slab,
                       parameters_.bias ? parameters_.bias[d] : Dtype(0),
                       output + n * shape_.output_step() + static_cast<size_t>(d) * out_size);
      }
    }
  });
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::Backward(const Dtype* input, const Dtype* output_gradient,
                                           const ActiveConvolutionGradients<Dtype>& gradients) const {
  const bool parameters = gradients.weight || gradients.positions();
  if (!gradients.input && !parameters) return;
  const Dtype* coefficients = MakeCoefficients();
  const int blocks = DivideUp(shape_.channels, kBlockChannels);
  const Chunks chunks(shape_.images, blocks);
  const size_t chunk_size = static_cast<size_t>(shape_.outputs) * most_taps_;
  std::vector<double> tap_gradients(parameters ? chunks.count * chunk_size : 0);
  ParallelFor(chunks.count * blocks, [&](int task) {
    const int chunk = task / blocks, block = task % blocks;
    BackwardChannels(block * kBlockChannels, std::min(shape_.channels, (block + 1) * kBlockChannels),
                     chunks.begin(chunk), chunks.end(chunk), coefficients, input, output_gradient, gradients,
                     parameters ? &tap_gradients[chunk * chunk_size] : nullptr);
  });
  if (parameters) AddParameterGradients(chunks.count, tap_gradients.data(), gradients);
}

// The output gradient with a border as wide as the taps reach; a row's border on the right is the next
// row's on the left.
template <typename Dtype>
SlabShape DepthwiseConvolution<Dtype>::MakeGradientSlab() const {
  const SamplingGeometry& g = shape_.geometry;
  const int border_h = DivideUp(slab_.rows, g.stride_h) - g.out_height;
  const int border_w = DivideUp(slab_.columns, g.stride_w) - g.out_width;
  SlabShape gradient;
  gradient.plane_height = g.out_height;
  gradient.plane_width = g.out_width;
  gradient.row = -border_h;
  gradient.column = -border_w;
  gradient.rows = g.out_height + 2 * border_h + 1;  // the last one for the last border on the right
  gradient.columns = g.out_width + border_w;
  gradient.pitch = SlabPitch(gradient.columns);
  gradient.stride_h = gradient.stride_w = 1;
  gradient.phase_size = gradient.rows * gradient.pitch;
  return gradient;
}

template <typename Dtype>
std::vector<typename DepthwiseConvolution<Dtype>::Phase> DepthwiseConvolution<Dtype>::MakePhases(
    int channel, const Dtype* coefficients) const {
  const SamplingGeometry& g = shape_.geometry;
  const TapList& taps = taps_[shape_.set_of(channel)];
  const int top = direct_ ? std::max(0, -slab_.row) : 0, left = direct_ ? -slab_.column : 0;
  std::vector<Phase> phases(g.stride_h * g.stride_w);
  for (size_t i = 0; i < phases.size(); ++i) {
    Phase& phase = phases[i];
    if (direct_) {
      phase.begin = (slab_.row + top) * g.width;
      phase.rows = std::min(g.height - slab_.row, slab_.rows) - top;
      phase.columns = g.width;
    } else {
      phase.begin = static_cast<int>(i) * slab_.phase_size;
      phase.rows = DivideUp(slab_.rows, g.stride_h);
      phase.columns = slab_.pitch;
    }
    for (int j = 0; j < shape_.outputs_per_group(); ++j) {
      for (int t = 0; t < taps.used; ++t) {
        const int at = taps.offset[t] - static_cast<int>(i) * slab_.phase_size;
        if (at < 0 || at >= slab_.phase_size) continue;
        phase.offset.push_back(j * gradient_slab_size_ +
                               (top - at / slab_.pitch - gradient_slab_.row) * gradient_slab_.pitch + left -
                               at % slab_.pitch - gradient_slab_.column);
        phase.coefficient.push_back(
            coefficients[(static_cast<size_t>(channel) * shape_.outputs_per_group() + j) * most_taps_ + t]);
      }
    }
  }
  return phases;
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::BackwardChannels(int first, int last, int begin, int end,
                                                   const Dtype* coefficients, const Dtype* input,
                                                   const Dtype* output_gradient,
                                                   const ActiveConvolutionGradients<Dtype>& gradients,
                                                   double* tap_gradients) const {
  constexpr int kLanes = kTapLanes<Dtype>;
  Workspace& w = Workspace::OfThisThread();
  const SamplingGeometry& g = shape_.geometry;
  const int multiplier = shape_.outputs_per_group();
  const size_t output_sums = static_cast<size_t>(most_taps_) * kLanes;
  Dtype* sums = Workspace::Zeroed(&w.sums, (last - first) * multiplier * output_sums);
  Dtype* slab = Workspace::Zeroed(&w.slab, plan_.slab_size());
  Dtype* gradient_slabs = Workspace::Zeroed(&w.gradient_slabs, static_cast<size_t>(multiplier) * gradient_slab_size_);
  const int inner = -gradient_slab_.row * gradient_slab_.pitch - gradient_slab_.column;
  const Grid grid = {g.out_height, g.out_width, slab_.pitch};
  std::vector<std::vector<Phase>> phases;  // of the channels
  for (int c = first; c < last && gradients.input; ++c) phases.push_back(MakePhases(c, coefficients));

  for (int n = begin; n < end; ++n) {
    for (int c = first; c < last; ++c) {
      const TapList& taps = taps_[shape_.set_of(c)];
      const int taps_wanted = gradients.positions() ? taps.count : taps.used;
      const size_t plane = n * shape_.input_step() + static_cast<size_t>(c) * g.in_size();
      if (tap_gradients) RefillSlab(slab_, input + plane, slab);
      for (int j = 0; j < multiplier; ++j) {
        const int d = c * multiplier + j;
        Dtype* of_output = gradient_slabs + static_cast<size_t>(j) * gradient_slab_size_;
        RefillSlab(gradient_slab_,
                   output_gradient + n * shape_.output_step() + static_cast<size_t>(d) * g.out_size(), of_output);
        if (!tap_gradients) continue;
        CorrelateTaps<Dtype>(grid, taps_wanted, taps.offset, slab, of_output + inner, gradient_slab_.pitch,
                             sums + (d - first * multiplier) * output_sums);
      }
      if (gradients.input) {
        InputGradient(phases[c - first], gradient_slabs, gradients.input + plane);
      }
    }
  }
  for (int d = first * multiplier; d < last * multiplier && tap_gradients; ++d) {
    const Dtype* sum = sums + (d - first * multiplier) * output_sums;
    for (int t = 0; t < most_taps_; ++t, sum += kLanes) {
      for (int lane = 0; lane < kLanes; ++lane) tap_gradients[static_cast<size_t>(d) * most_taps_ + t] += sum[lane];
    }
  }
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::InputGradient(const std::vector<Phase>& phases, const Dtype* gradient_slabs,
                                                Dtype* plane_gradient) const {
  if (!covered_) std::fill_n(plane_gradient, shape_.geometry.in_size(), Dtype(0));
  Dtype* slab = direct_ ? nullptr : Workspace::OfThisThread().slab_gradient.AtLeast(plan_.slab_size());
  for (const Phase& phase : phases) {
    if (phase.rows <= 0 || phase.columns <= 0) continue;
    SumTaps<Dtype>({phase.rows, phase.columns, gradient_slab_.pitch}, static_cast<int>(phase.offset.size()),
                   phase.offset.data(), phase.coefficient.data(), gradient_slabs, Dtype(0),
                   direct_ ? plane_gradient + phase.begin : slab + phase.begin);
  }
  if (!direct_) UnspreadSlab(slab_, slab, plane_gradient);
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::AddParameterGradients(int chunks, const double* tap_gradients,
                                                        const ActiveConvolutionGradients<Dtype>& gradients) const {
  const int K = shape_.synapses, multiplier = shape_.outputs_per_group();
  const size_t chunk_size = static_cast<size_t>(shape_.outputs) * most_taps_;
  std::vector<double> G(most_taps_), position_sums(2 * static_cast<size_t>(shape_.sets) * K);
  for (int d = 0; d < shape_.outputs; ++d) {
    const int set = shape_.set_of(d / multiplier);
    const TapList& taps = taps_[set];
    std::fill(G.begin(), G.end(), 0);
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const double* from = tap_gradients + chunk * chunk_size + static_cast<size_t>(d) * most_taps_;
      for (int t = 0; t < most_taps_; ++t) G[t] += from[t];
    }
    for (int k = 0; k < K; ++k) {
      const Tap& tap = plan_.taps(set)[k];
      if (!tap.visible) continue;
      double g[4], sum = 0;
      for (int q = 0; q < 4; ++q) {
        g[q] = G[taps.neighbour[4 * k + q]];
        if (tap.weight[q] != 0) sum += tap.weight[q] * g[q];
      }
      const size_t index = static_cast<size_t>(d) * K + k;
      if (gradients.weight) gradients.weight[index] += static_cast<Dtype>(sum);
      const double weight = parameters_.weight[index];
      double* position = &position_sums[2 * (static_cast<size_t>(set) * K + k)];
      position[0] += weight * ((1 - tap.b) * (g[1] - g[0]) + tap.b * (g[3] - g[2]));
      position[1] += weight * ((1 - tap.a) * (g[2] - g[0]) + tap.a * (g[3] - g[1]));
    }
  }
  AddPositionSums(position_sums, gradients);
}

template class DepthwiseConvolution<float>;
template class DepthwiseConvolution<double>;

}  // namespace caffe
