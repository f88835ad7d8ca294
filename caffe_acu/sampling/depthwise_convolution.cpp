#include "caffe_acu/sampling/depthwise_convolution.hpp"

#include <algorithm>

#include "caffe_acu/sampling/depthwise_kernels.hpp"
#include "caffe_acu/util/aligned_buffer.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

// Channels that a task of the backward pass takes at once: neighbours in memory, and few enough for the
// sums of all their taps to stay in the cache.
constexpr int kBlockChannels = 16;
// Tasks that are aimed at, and most chunks of images among them.
constexpr int kTasks = 32, kMostChunks = 16;
// Multiply-adds of a task of the forward pass, below which starting it would be felt.
constexpr double kTaskWork = 1e6;

int DivideUp(int n, int d) { return (n + d - 1) / d; }

}  // namespace

template <typename Dtype>
struct DepthwiseConvolution<Dtype>::Workspace {
  AlignedBuffer<Dtype> slab, gradient_slab;
  AlignedBuffer<Dtype> phase;         // of an input gradient
  AlignedBuffer<Dtype> sums;          // of the taps of a block of channels
  AlignedBuffer<Dtype> coefficients;  // of the calling thread
  std::vector<int> offsets;
  std::vector<Dtype> phase_coefficients;

  static Workspace& OfThisThread() {
    thread_local Workspace workspace;
    return workspace;
  }
};

template <typename Dtype>
DepthwiseConvolution<Dtype>::DepthwiseConvolution(const ActiveConvolutionShape& shape,
                                                  const ActiveConvolutionParameters<Dtype>& parameters)
    : shape_(shape),
      parameters_(parameters),
      whole_plane_{0, 0, shape.geometry.out_height, shape.geometry.out_width},
      plan_(shape.geometry, shape.sets, shape.synapses, parameters.alpha, parameters.beta, whole_plane_.rows,
            whole_plane_.columns),
      taps_(shape.sets) {
  ParallelFor(DivideUp(shape.sets, 32), [&](int run) {
    for (int set = run * 32; set < std::min(shape_.sets, (run + 1) * 32); ++set) taps_[set] = MakeTapList(set);
  });
  for (const TapList& taps : taps_) most_taps_ = std::max(most_taps_, static_cast<int>(taps.offset.size()));
}

template <typename Dtype>
typename DepthwiseConvolution<Dtype>::TapList DepthwiseConvolution<Dtype>::MakeTapList(int set) const {
  TapList list;
  std::vector<int> used, unused;
  for (int k = 0; k < shape_.synapses; ++k) {
    const Tap& tap = plan_.taps(set)[k];
    for (int q = 0; q < 4 && tap.visible; ++q) (tap.weight[q] != 0 ? used : unused).push_back(tap.offset[q]);
  }
  const auto sort_unique = [](std::vector<int>* v) {
    std::sort(v->begin(), v->end());
    v->erase(std::unique(v->begin(), v->end()), v->end());
  };
  sort_unique(&used);
  sort_unique(&unused);
  list.offset = used;
  list.used = static_cast<int>(used.size());
  std::set_difference(unused.begin(), unused.end(), used.begin(), used.end(), std::back_inserter(list.offset));
  const auto index = [&](int offset) {
    const auto middle = list.offset.begin() + list.used;
    const auto found = std::lower_bound(list.offset.begin(), middle, offset);
    if (found != middle && *found == offset) return static_cast<int>(found - list.offset.begin());
    return static_cast<int>(std::lower_bound(middle, list.offset.end(), offset) - list.offset.begin());
  };
  for (int k = 0; k < shape_.synapses; ++k) {
    const Tap& tap = plan_.taps(set)[k];
    for (int q = 0; q < 4; ++q) list.neighbour.push_back(tap.visible ? index(tap.offset[q]) : -1);
  }
  return list;
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::MakeCoefficients(int d, Dtype* coefficients) const {
  const int set = shape_.set_of(d / shape_.outputs_per_group());
  const TapList& taps = taps_[set];
  std::fill_n(coefficients, most_taps_, Dtype(0));
  for (int k = 0; k < shape_.synapses; ++k) {
    const Tap& tap = plan_.taps(set)[k];
    if (!tap.visible) continue;
    const double w = parameters_.weight[static_cast<size_t>(d) * shape_.synapses + k];
    for (int q = 0; q < 4; ++q) {
      if (tap.weight[q] != 0) coefficients[taps.neighbour[4 * k + q]] += static_cast<Dtype>(w * tap.weight[q]);
    }
  }
}

template <typename Dtype>
void DepthwiseConvolution<Dtype>::Forward(const Dtype* input, Dtype* output) const {
  const int C = shape_.channels, multiplier = shape_.outputs_per_group();
  const int in_size = shape_.geometry.in_size(), out_size = shape_.geometry.out_size();
  Dtype* coefficients =
      Workspace::OfThisThread().coefficients.AtLeast(static_cast<size_t>(shape_.outputs) * most_taps_);
  for (int d = 0; d < shape_.outputs; ++d) MakeCoefficients(d, coefficients + static_cast<size_t>(d) * most_taps_);
  const int planes = shape_.images * C;
  const double plane_work = static_cast<double>(multiplier) * out_size * std::max(1, most_taps_);
  const int run = static_cast<int>(std::max(1.0, std::min(planes / 64.0, kTaskWork / plane_work)));
  ParallelFor(DivideUp(planes, run), [&](int task) {
    Dtype* slab = Workspace::OfThisThread().slab.AtLeast(plan_.slab_size());
    for (int p = task * run; p < std::min(planes, (task + 1) * run); ++p) {
      const int n = p / C, c = p % C, set = shape_.set_of(c);
      const TapList& taps = taps_[set];
      SpreadSlab(plan_.Slab(set, whole_plane_), input + static_cast<size_t>(p) * in_size, slab);
      for (int d = c * multiplier; d < (c + 1) * multiplier; ++d) {
        SumTaps<Dtype>({whole_plane_.rows, whole_plane_.columns, plan_.pitch(set)}, taps.used, taps.offset.data(),
                       coefficients + static_cast<size_t>(d) * most_taps_, slab,
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
  Dtype* coefficients =
      Workspace::OfThisThread().coefficients.AtLeast(static_cast<size_t>(shape_.outputs) * most_taps_);
  for (int d = 0; d < shape_.outputs; ++d) MakeCoefficients(d, coefficients + static_cast<size_t>(d) * most_taps_);
  const int blocks = DivideUp(shape_.channels, kBlockChannels);
  const int chunks = std::min({shape_.images, kMostChunks, DivideUp(kTasks, blocks)});
  const size_t chunk_size = static_cast<size_t>(shape_.outputs) * most_taps_;
  std::vector<double> tap_gradients(parameters ? chunks * chunk_size : 0);
  ParallelFor(chunks * blocks, [&](int task) {
    const int chunk = task / blocks, block = task % blocks;
    BackwardChannels(block * kBlockChannels, std::min(shape_.channels, (block + 1) * kBlockChannels),
                     static_cast<int>(static_cast<long>(shape_.images) * chunk / chunks),
                     static_cast<int>(static_cast<long>(shape_.images) * (chunk + 1) / chunks), coefficients, input,
                     output_gradient, gradients, parameters ? &tap_gradients[chunk * chunk_size] : nullptr);
  });
  if (parameters) AddParameterGradients(chunks, tap_gradients.data(), gradients);
}

// The output gradient with a border as wide as the taps reach; columns of one row's border on the right
// are the next row's on the left.
template <typename Dtype>
SlabShape DepthwiseConvolution<Dtype>::GradientSlab(int set) const {
  const SamplingGeometry& g = shape_.geometry;
  const SlabShape slab = plan_.Slab(set, whole_plane_);
  const int border_h = DivideUp(slab.rows, g.stride_h) - g.out_height;
  const int border_w = DivideUp(slab.columns, g.stride_w) - g.out_width;
  SlabShape gradient;
  gradient.plane_height = g.out_height;
  gradient.plane_width = g.out_width;
  gradient.row = -border_h;
  gradient.column = -border_w;
  gradient.rows = g.out_height + 2 * border_h + 1;  // the last one for the last border on the right
  gradient.columns = gradient.pitch = g.out_width + border_w;
  gradient.stride_h = gradient.stride_w = 1;
  gradient.phase_size = gradient.rows * gradient.pitch;
  return gradient;
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
  Dtype* sums = w.sums.AtLeast(static_cast<size_t>(last - first) * multiplier * output_sums);
  std::fill_n(sums, static_cast<size_t>(last - first) * multiplier * output_sums, Dtype(0));
  Dtype* slab = w.slab.AtLeast(plan_.slab_size());
  for (int n = begin; n < end; ++n) {
    for (int c = first; c < last; ++c) {
      const int set = shape_.set_of(c);
      const TapList& taps = taps_[set];
      const SlabShape slab_shape = plan_.Slab(set, whole_plane_), gradient_shape = GradientSlab(set);
      const int gradient_size = gradient_shape.phase_size + kSlabSlack;
      const int inner = -gradient_shape.row * gradient_shape.pitch - gradient_shape.column;
      Dtype* gradient_slab = w.gradient_slab.AtLeast(static_cast<size_t>(multiplier) * gradient_size);
      const size_t plane = n * shape_.input_step() + static_cast<size_t>(c) * g.in_size();
      if (tap_gradients) SpreadSlab(slab_shape, input + plane, slab);
      for (int j = 0; j < multiplier; ++j) {
        const int d = c * multiplier + j;
        Dtype* of_output = gradient_slab + static_cast<size_t>(j) * gradient_size;
        SpreadSlab(gradient_shape, output_gradient + n * shape_.output_step() + static_cast<size_t>(d) * g.out_size(),
                   of_output);
        if (!tap_gradients) continue;
        CorrelateTaps<Dtype>({g.out_height, g.out_width, slab_shape.pitch},
                             gradients.positions() ? static_cast<int>(taps.offset.size()) : taps.used,
                             taps.offset.data(), slab, of_output + inner, gradient_shape.pitch,
                             sums + (d - first * multiplier) * output_sums);
      }
      if (gradients.input) {
        InputGradient(slab_shape, c, coefficients, gradient_slab, gradient_size, gradients.input + plane);
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

// The taps of each phase of the input, mirrored, run over the output gradient; all outputs of the channel
// as one long list of taps. Written is what the slab and the image have in common, the rest is 0.
template <typename Dtype>
void DepthwiseConvolution<Dtype>::InputGradient(const SlabShape& slab, int channel, const Dtype* coefficients,
                                                const Dtype* gradient_slab, int gradient_slab_size,
                                                Dtype* plane_gradient) const {
  Workspace& w = Workspace::OfThisThread();
  const SamplingGeometry& g = shape_.geometry;
  const int set = shape_.set_of(channel), multiplier = shape_.outputs_per_group();
  const TapList& taps = taps_[set];
  const SlabShape gradient = GradientSlab(set);
  const int top = std::max(0, slab.row), bottom = std::min(g.height, slab.row + slab.rows);
  const int left = std::max(0, slab.column), right = std::min(g.width, slab.column + slab.columns);
  const bool direct = g.stride_h == 1 && g.stride_w == 1 && left == 0 && right == g.width;
  if (!direct || top > 0 || bottom < g.height) std::fill_n(plane_gradient, g.in_size(), Dtype(0));
  for (int phase_h = 0; phase_h < g.stride_h; ++phase_h) {
    for (int phase_w = 0; phase_w < g.stride_w; ++phase_w) {
      // First row and column of the slab that are in the image and in the phase.
      const auto first = [](int from, int phase, int stride) {
        return from + ((phase - from) % stride + stride) % stride;
      };
      const int row = first(top - slab.row, phase_h, g.stride_h);
      const int column = first(left - slab.column, phase_w, g.stride_w);
      const int rows = DivideUp(bottom - slab.row - row, g.stride_h);
      const int columns = DivideUp(right - slab.column - column, g.stride_w);
      if (rows <= 0 || columns <= 0) continue;
      const int from = (phase_h * g.stride_w + phase_w) * slab.phase_size;
      w.offsets.clear();
      w.phase_coefficients.clear();
      for (int j = 0; j < multiplier; ++j) {
        const Dtype* of_output = coefficients + (static_cast<size_t>(channel) * multiplier + j) * most_taps_;
        for (int t = 0; t < taps.used; ++t) {
          const int in_phase = taps.offset[t] - from;
          if (in_phase < 0 || in_phase >= slab.phase_size) continue;
          w.offsets.push_back(j * gradient_slab_size +
                              (row / g.stride_h - in_phase / slab.pitch - gradient.row) * gradient.pitch +
                              column / g.stride_w - in_phase % slab.pitch - gradient.column);
          w.phase_coefficients.push_back(of_output[t]);
        }
      }
      Dtype* out = direct ? plane_gradient + top * g.width
                          : w.phase.AtLeast(static_cast<size_t>(rows) * columns);
      SumTaps<Dtype>({rows, columns, gradient.pitch}, static_cast<int>(w.offsets.size()), w.offsets.data(),
                     w.phase_coefficients.data(), gradient_slab, Dtype(0), out);
      if (direct) continue;
      for (int i = 0; i < rows; ++i) {
        Dtype* to = plane_gradient + static_cast<size_t>(slab.row + row + i * g.stride_h) * g.width + slab.column + column;
        for (int l = 0; l < columns; ++l) to[l * g.stride_w] = out[i * columns + l];
      }
    }
  }
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
  for (int i = 0; i < shape_.sets * K; ++i) {
    if (gradients.alpha) gradients.alpha[i] += static_cast<Dtype>(position_sums[2 * i]);
    if (gradients.beta) gradients.beta[i] += static_cast<Dtype>(position_sums[2 * i + 1]);
  }
}

template class DepthwiseConvolution<float>;
template class DepthwiseConvolution<double>;

}  // namespace caffe
