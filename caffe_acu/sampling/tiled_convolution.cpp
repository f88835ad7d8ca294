#include "caffe_acu/sampling/tiled_convolution.hpp"

#include <algorithm>

#include "caffe_acu/linear/tile_product.hpp"
#include "caffe_acu/sampling/backward_sums.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

constexpr int kPitch = kRowPitch;  // of the rows of all tiles
static_assert(kPitch >= Tiles::kTilePixels + kSlabSlack, "vectors may reach beyond a row");

// Multiply-adds of a task, below which starting it would be felt.
constexpr double kTaskWork = 2e6;

}  // namespace

// Buffers of a thread, shared by all layers.
template <typename Dtype>
struct TiledConvolution<Dtype>::Workspace {
  AlignedBuffer<Dtype> rows;               // of a block: samples, or their gradients; kPitch apart
  AlignedBuffer<Dtype> outputs;            // outputs or their gradients, kPitch apart
  AlignedBuffer<Dtype> transposed;         // output gradients, pixels as rows
  AlignedBuffer<Dtype> slab, slab_gradient;
  AlignedBuffer<Dtype> packed, partial;    // of the calling thread
  std::vector<TilePart> tile;

  static Workspace& OfThisThread() {
    thread_local Workspace workspace;
    return workspace;
  }
};

template <typename Dtype>
TiledConvolution<Dtype>::TiledConvolution(const ActiveConvolutionShape& shape,
                                          const ActiveConvolutionParameters<Dtype>& parameters)
    : shape_(shape),
      parameters_(parameters),
      tiles_(shape.geometry),
      plan_(shape.geometry, shape.sets, shape.synapses, parameters.alpha, parameters.beta, tiles_.most_rows(),
            tiles_.most_columns()),
      gradient_columns_(PaddedColumns<Dtype>(shape.outputs_per_group())) {
  MakeBlocks();
}

template <typename Dtype>
void TiledConvolution<Dtype>::MakeBlocks() {
  const int K = shape_.synapses, per_group = shape_.channels_per_group();
  const int most = std::max(1, kBlockRows / K);
  groups_are_split_ = per_group > most;
  size_t packed = 0;
  const auto add_part = [&](int channel, int channels) {
    Block& block = blocks_.back();
    const int group = channel / per_group, row = block.channels * K, rows = channels * K;
    block.parts.push_back({group, channel, channel % per_group == 0,
                           (channel + channels) % per_group == 0, row, rows, packed, partial_size_});
    packed += static_cast<size_t>(rows) * shape_.outputs_per_group();
    partial_size_ += static_cast<size_t>(rows) * gradient_columns_;
    block.channels += channels;
    most_rows_ = std::max(most_rows_, block.channels * K);
  };
  if (groups_are_split_) {
    const int pieces = (per_group + most - 1) / most;
    for (int group = 0; group < shape_.groups; ++group) {
      for (int piece = 0; piece < pieces; ++piece) {
        const int begin = per_group * piece / pieces, end = per_group * (piece + 1) / pieces;
        blocks_.push_back({group * per_group + begin, 0, {}});
        add_part(group * per_group + begin, end - begin);
      }
    }
  } else {
    const int groups = most / per_group;  // in a block
    for (int group = 0; group < shape_.groups; ++group) {
      if (group % groups == 0) blocks_.push_back({group * per_group, 0, {}});
      add_part(group * per_group, per_group);
    }
  }
}

// The weights of all parts in the order of PanelProduct: outputs x rows, or rows x outputs.
template <typename Dtype>
Dtype* TiledConvolution<Dtype>::Pack(bool transposed, AlignedBuffer<Dtype>* buffer) const {
  Dtype* packed = buffer->AtLeast(shape_.weight_size());
  const int outputs = shape_.outputs_per_group(), group_rows = shape_.channels_per_group() * shape_.synapses;
  ParallelFor(static_cast<int>(blocks_.size()), [&](int b) {
    for (const Part& part : blocks_[b].parts) {
      const Dtype* weight = parameters_.weight + static_cast<size_t>(part.group) * outputs * group_rows +
                            part.channel % shape_.channels_per_group() * shape_.synapses;
      if (transposed) {
        PackPanels(part.rows, outputs, weight, 1, group_rows, packed + part.packed);
      } else {
        PackPanels(outputs, part.rows, weight, group_rows, 1, packed + part.packed);
      }
    }
  });
  return packed;
}

template <typename Dtype>
void TiledConvolution<Dtype>::Forward(const Dtype* input, Dtype* output) const {
  const Dtype* packed = Pack(false, &Workspace::OfThisThread().packed);
  const int tiles = tiles_.Count(shape_.images);
  const double tile_work = static_cast<double>(shape_.weight_size()) * Tiles::kTilePixels;
  const int run = static_cast<int>(std::max(1.0, std::min(tiles / 64.0, kTaskWork / tile_work)));
  ParallelFor((tiles + run - 1) / run, [&](int task) {
    for (int t = task * run; t < std::min(tiles, (task + 1) * run); ++t) ForwardTile(t, packed, input, output);
  });
}

template <typename Dtype>
void TiledConvolution<Dtype>::ForwardTile(int index, const Dtype* packed, const Dtype* input, Dtype* output) const {
  Workspace& w = Workspace::OfThisThread();
  const int outputs = shape_.outputs_per_group(), K = shape_.synapses;
  const int pixels = tiles_.Get(index, 0, shape_.images, &w.tile);
  Dtype* rows = w.rows.AtLeast(static_cast<size_t>(most_rows_) * kPitch);
  Dtype* slab = w.slab.AtLeast(plan_.slab_size());
  // A group that is spread over blocks has to collect all its outputs.
  const int step = groups_are_split_ ? outputs : std::min(outputs, kOutputRows);
  Dtype* out_rows = w.outputs.AtLeast(static_cast<size_t>(step) * kPitch);
  for (const Block& block : blocks_) {
    Dtype* row = rows;
    for (int c = block.channel; c < block.channel + block.channels; ++c, row += K * kPitch) {
      const int set = shape_.set_of(c);
      for (const TilePart& part : w.tile) {
        const Dtype* plane =
            input + part.image * shape_.input_step() + static_cast<size_t>(c) * shape_.geometry.in_size();
        if (plan_.is_identity()) {
          std::copy_n(plane + part.in_plane(shape_.geometry.out_width), part.pixels(), row + part.at);
          continue;
        }
        SpreadSlab(plan_.Slab(set, part.part), plane, slab);
        SampleTaps<Dtype>({part.part.rows, part.part.columns, plan_.pitch(set)}, K, plan_.taps(set), slab,
                          row + part.at, kPitch);
      }
    }
    for (const Part& part : block.parts) {
      for (int d = 0; d < outputs; d += step) {
        const int count = std::min(step, outputs - d);
        PanelProduct(count, pixels, part.rows, packed + part.packed + static_cast<size_t>(d) * part.rows,
                     rows + part.row * kPitch, kPitch, out_rows, kPitch, !part.first);
        if (part.last) WriteOutputs(w.tile, part.group * outputs + d, count, out_rows, output);
      }
    }
  }
}

template <typename Dtype>
void TiledConvolution<Dtype>::WriteOutputs(const std::vector<TilePart>& tile, int first, int count, const Dtype* rows,
                                           Dtype* output) const {
  for (int d = 0; d < count; ++d, rows += kPitch) {
    const Dtype bias = parameters_.bias ? parameters_.bias[first + d] : Dtype(0);
    for (const TilePart& part : tile) {
      Dtype* out = output + OutputAt(part, first + d);
      const Dtype* in = rows + part.at;
      for (int i = 0; i < part.pixels(); ++i) out[i] = in[i] + bias;
    }
  }
}

template <typename Dtype>
void TiledConvolution<Dtype>::ReadOutputs(const std::vector<TilePart>& tile, int first, int count,
                                          const Dtype* output, Dtype* rows) const {
  for (int d = 0; d < count; ++d, rows += kPitch) {
    for (const TilePart& part : tile) {
      std::copy_n(output + OutputAt(part, first + d), part.pixels(), rows + part.at);
    }
  }
}

template <typename Dtype>
void TiledConvolution<Dtype>::Backward(const Dtype* input, const Dtype* output_gradient,
                                       const ActiveConvolutionGradients<Dtype>& gradients) const {
  Workspace& w = Workspace::OfThisThread();
  const bool needs_rows = gradients.input || gradients.positions();
  if (!needs_rows && !gradients.weight) return;
  const int blocks = static_cast<int>(blocks_.size());
  const Chunks chunks(shape_.images, blocks);
  const Dtype* packed = needs_rows ? Pack(true, &w.packed) : nullptr;
  Dtype* partial_weight = gradients.weight ? w.partial.AtLeast(chunks.count * partial_size_) : nullptr;
  const size_t positions = 2 * static_cast<size_t>(shape_.channels) * shape_.synapses;  // of a chunk
  std::vector<double> partial_positions(gradients.positions() ? chunks.count * positions : 0);

  ParallelFor(chunks.count * blocks, [&](int task) {
    const int chunk = task / blocks;
    BackwardBlock(blocks_[task % blocks], chunks.begin(chunk), chunks.end(chunk), packed, input, output_gradient,
                  gradients,
                  partial_weight ? partial_weight + chunk * partial_size_ : nullptr,
                  gradients.positions() ? &partial_positions[chunk * positions] : nullptr);
  });
  if (gradients.weight) AddWeightGradients(chunks.count, partial_weight, gradients.weight);
  if (gradients.positions()) AddPositionGradients(chunks.count, partial_positions.data(), gradients);
}

template <typename Dtype>
void TiledConvolution<Dtype>::BackwardBlock(const Block& block, int begin, int end, const Dtype* packed,
                                            const Dtype* input, const Dtype* output_gradient,
                                            const ActiveConvolutionGradients<Dtype>& gradients,
                                            Dtype* partial_weight, double* partial_positions) const {
  Workspace& w = Workspace::OfThisThread();
  const int outputs = shape_.outputs_per_group(), K = shape_.synapses;
  const int in_size = shape_.geometry.in_size();
  const bool needs_rows = gradients.input || gradients.positions();
  const int groups = groups_are_split_ ? 1 : static_cast<int>(block.parts.size());
  const int transposed_pitch = groups * gradient_columns_;
  Dtype* rows = w.rows.AtLeast(static_cast<size_t>(most_rows_) * kPitch);
  Dtype* out_rows = w.outputs.AtLeast(static_cast<size_t>(groups) * outputs * kPitch);
  Dtype* transposed = w.transposed.AtLeast(static_cast<size_t>(transposed_pitch) * Tiles::kTilePixels);

  for (const Part& part : block.parts) {
    if (partial_weight) {
      std::fill_n(partial_weight + part.partial, static_cast<size_t>(part.rows) * gradient_columns_, Dtype(0));
    }
  }
  for (int n = begin; n < end && gradients.input && !gradients.add_to_input; ++n) {
    std::fill_n(gradients.input + n * shape_.input_step() + static_cast<size_t>(block.channel) * in_size,
                static_cast<size_t>(block.channels) * in_size, Dtype(0));
  }
  for (int t = 0; t < tiles_.Count(end - begin); ++t) {
    const int pixels = tiles_.Get(t, begin, end, &w.tile);
    ReadOutputs(w.tile, block.parts[0].group * outputs, groups * outputs, output_gradient, out_rows);
    for (const Part& part : block.parts) {
      const Dtype* group_rows = out_rows + static_cast<size_t>(part.group - block.parts[0].group) * outputs * kPitch;
      if (needs_rows) {
        PanelProduct(part.rows, pixels, outputs, packed + part.packed, group_rows, kPitch, rows + part.row * kPitch,
                     kPitch, false);
      }
    }
    for (int c = 0; c < block.channels; ++c) {
      BackwardChannel(block.channel + c, w.tile, input, gradients.input, gradients.weight, rows + c * K * kPitch,
                      partial_positions ? partial_positions + 2 * (block.channel + c) * K : nullptr);
    }
    if (!partial_weight) continue;
    for (const Part& part : block.parts) {
      const int group = part.group - block.parts[0].group;
      Dtype* columns = transposed + group * gradient_columns_;
      Transpose(outputs, pixels, out_rows + static_cast<size_t>(group) * outputs * kPitch, kPitch, columns,
                transposed_pitch);
      RowProduct(part.rows, outputs, pixels, rows + part.row * kPitch, columns, transposed_pitch,
                 partial_weight + part.partial, gradient_columns_);
    }
  }
}

// For one channel of a tile: `rows` (K of them) hold dL/ds; they are used up and become the samples.
template <typename Dtype>
void TiledConvolution<Dtype>::BackwardChannel(int channel, const std::vector<TilePart>& tile, const Dtype* input,
                                              Dtype* input_gradient, bool samples, Dtype* rows,
                                              double* position_sums) const {
  Workspace& w = Workspace::OfThisThread();
  const int K = shape_.synapses, set = shape_.set_of(channel);
  if (plan_.is_identity() && !position_sums) {  // a 1x1 convolution: the samples are the input
    for (const TilePart& part : tile) {
      const size_t at = part.image * shape_.input_step() + static_cast<size_t>(channel) * shape_.geometry.in_size() +
                        part.in_plane(shape_.geometry.out_width);
      Dtype* row = rows + part.at;
      for (int i = 0; i < part.pixels() && input_gradient; ++i) input_gradient[at + i] += row[i];
      if (samples) std::copy_n(input + at, part.pixels(), row);
    }
    return;
  }
  Dtype* slab = w.slab.AtLeast(plan_.slab_size());
  Dtype* slab_gradient = w.slab_gradient.AtLeast(plan_.slab_size());
  for (const TilePart& part : tile) {
    const size_t at = part.image * shape_.input_step() + static_cast<size_t>(channel) * shape_.geometry.in_size();
    const SlabShape slab_shape = plan_.Slab(set, part.part);
    const Grid grid = {part.part.rows, part.part.columns, slab_shape.pitch};
    if (position_sums || samples) SpreadSlab(slab_shape, input + at, slab);
    if (input_gradient) std::fill_n(slab_gradient, plan_.slab_size(), Dtype(0));
    BackwardTaps<Dtype>(grid, K, plan_.taps(set), rows + part.at, kPitch,
                        {slab, input_gradient ? slab_gradient : nullptr, position_sums, samples});
    if (input_gradient) GatherSlab(slab_shape, slab_gradient, input_gradient + at);
  }
}

template <typename Dtype>
void TiledConvolution<Dtype>::AddWeightGradients(int chunks, const Dtype* partial, Dtype* weight_gradient) const {
  constexpr int kRun = 16;  // rows of the partial gradients that are turned into columns together
  const int outputs = shape_.outputs_per_group(), group_rows = shape_.channels_per_group() * shape_.synapses;
  ParallelFor(static_cast<int>(blocks_.size()), [&](int b) {
    std::vector<Dtype> sum(static_cast<size_t>(kRun) * gradient_columns_);
    for (const Part& part : blocks_[b].parts) {
      Dtype* weight = weight_gradient + static_cast<size_t>(part.group) * outputs * group_rows +
                      part.channel % shape_.channels_per_group() * shape_.synapses;
      for (int row = 0; row < part.rows; row += kRun) {
        const int count = std::min(kRun, part.rows - row);
        const size_t size = static_cast<size_t>(count) * gradient_columns_;
        const Dtype* from = partial + part.partial + static_cast<size_t>(row) * gradient_columns_;
        std::copy_n(from, size, sum.begin());
        for (int chunk = 1; chunk < chunks; ++chunk) {
          from += partial_size_;
          for (size_t i = 0; i < size; ++i) sum[i] += from[i];
        }
        for (int d = 0; d < outputs; ++d) {
          for (int r = 0; r < count; ++r) {
            weight[static_cast<size_t>(d) * group_rows + row + r] += sum[r * gradient_columns_ + d];
          }
        }
      }
    }
  });
}

template <typename Dtype>
void TiledConvolution<Dtype>::AddPositionGradients(int chunks, const double* partial,
                                                   const ActiveConvolutionGradients<Dtype>& gradients) const {
  const int K = shape_.synapses;
  const size_t step = 2 * static_cast<size_t>(shape_.channels) * K;
  std::vector<double> sums(2 * static_cast<size_t>(shape_.sets) * K);
  for (int c = 0; c < shape_.channels; ++c) {
    double* sum = &sums[2 * shape_.set_of(c) * K];
    for (int chunk = 0; chunk < chunks; ++chunk) {
      for (int i = 0; i < 2 * K; ++i) sum[i] += partial[chunk * step + 2 * c * K + i];
    }
  }
  AddPositionSums(sums, gradients);
}

template class TiledConvolution<float>;
template class TiledConvolution<double>;

}  // namespace caffe
