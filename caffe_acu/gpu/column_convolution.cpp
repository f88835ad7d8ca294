#ifndef CPU_ONLY
#include "caffe_acu/gpu/column_convolution.hpp"

#include <algorithm>

#include "caffe/common.hpp"
#include "caffe_acu/gpu/batched_product.hpp"
#include "caffe_acu/gpu/sums.hpp"
#include "caffe_acu/gpu/workspace.hpp"

namespace caffe {
namespace {

// Values of an array, rounded up so that the next array is aligned for cuBLAS too.
size_t Aligned(size_t values) { return (values + 63) / 64 * 64; }

}  // namespace

template <typename Dtype>
ColumnConvolution<Dtype>::ColumnConvolution(const ActiveConvolutionShape& shape, const Dtype* weight,
                                            const DevicePositions<Dtype>& positions)
    : shape_(shape), weight_(weight), positions_(positions) {
  const size_t image_bytes = (Columns(1).size() + static_cast<size_t>(shape.outputs) * shape.geometry.out_size()) *
                             sizeof(Dtype);
  const size_t most = std::max<size_t>(1, ColumnWorkspaceLimit() / image_bytes);
  const int chunks = static_cast<int>((shape.images + most - 1) / most);
  chunk_ = (shape.images + chunks - 1) / chunks;
}

template <typename Dtype>
ColumnShape ColumnConvolution<Dtype>::Columns(int images) const {
  return {images, shape_.channels, shape_.synapses, shape_.sets, shape_.geometry};
}

template <typename Dtype>
PlaneOrder ColumnConvolution<Dtype>::Order(int images) const {
  return {images, shape_.outputs, shape_.geometry.out_size(), shape_.output_step()};
}

template <typename Dtype>
typename ColumnConvolution<Dtype>::Workspace ColumnConvolution<Dtype>::Divide(int images, bool sums) const {
  const ColumnShape columns = Columns(images);
  const size_t column_values = Aligned(columns.size());
  const size_t output_values = Aligned(static_cast<size_t>(shape_.outputs) * columns.merged());
  const size_t sum_values =
      sums ? 2 * static_cast<size_t>(shape_.channels) * shape_.synapses * PositionSumBlocks(columns) : 0;
  Dtype* begin =
      static_cast<Dtype*>(GpuWorkspace((column_values + output_values + sum_values) * sizeof(Dtype)));
  return {begin, begin + column_values, sums ? begin + column_values + output_values : nullptr};
}

template <typename Dtype>
template <typename Function>
void ColumnConvolution<Dtype>::ForEachChunk(Function f) const {
  for (int first = 0; first < shape_.images; first += chunk_) f(first, std::min(chunk_, shape_.images - first));
}

template <typename Dtype>
void ColumnConvolution<Dtype>::Forward(const Dtype* input, const Dtype* bias, Dtype* output) const {
  const int rows = shape_.outputs_per_group(), inner = shape_.channels_per_group() * shape_.synapses;
  ForEachChunk([&](int first, int images) {
    const ColumnShape columns = Columns(images);
    const int merged = columns.merged();
    const Workspace work = Divide(images, false);
    SampleColumns(columns, input + first * shape_.input_step(), positions_, work.columns);
    BatchedProduct<Dtype>(shape_.groups, rows, merged, inner, {weight_, inner, static_cast<size_t>(rows) * inner},
                          {work.columns, merged, static_cast<size_t>(inner) * merged}, 0,
                          {work.outputs, merged, static_cast<size_t>(rows) * merged});
    SplitImages<Dtype>(Order(images), work.outputs, bias, output + first * shape_.output_step());
  });
}

template <typename Dtype>
void ColumnConvolution<Dtype>::Backward(const Dtype* input, const Dtype* output_gradient,
                                        const ActiveConvolutionGradients<Dtype>& gradients) const {
  const int rows = shape_.outputs_per_group(), inner = shape_.channels_per_group() * shape_.synapses;
  const bool sample_gradients = gradients.input || gradients.positions();
  if (!sample_gradients && !gradients.weight) return;
  ForEachChunk([&](int first, int images) {
    const ColumnShape columns = Columns(images);
    const int merged = columns.merged();
    const size_t weight_step = static_cast<size_t>(rows) * inner, output_step = static_cast<size_t>(rows) * merged;
    const size_t column_step = static_cast<size_t>(inner) * merged;
    const Workspace work = Divide(images, gradients.positions());
    const Dtype* chunk = input + first * shape_.input_step();
    MergeImages(Order(images), output_gradient + first * shape_.output_step(), work.outputs);
    if (sample_gradients) {
      BatchedProduct<Dtype>(shape_.groups, inner, merged, rows, {weight_, inner, weight_step, true},
                            {work.outputs, merged, output_step}, 0, {work.columns, merged, column_step});
    }
    if (gradients.input) {
      GatherInputGradient(columns, work.columns, positions_, gradients.add_to_input,
                          gradients.input + first * shape_.input_step());
    }
    if (gradients.positions()) {
      PositionSums(columns, chunk, positions_, gradients.weight != nullptr, work.columns, work.sums);
      AddPositionSums(shape_.channels, shape_.synapses, PositionSumBlocks(columns), shape_.sets, work.sums,
                      gradients.alpha, gradients.beta);
    } else if (gradients.weight) {
      SampleColumns(columns, chunk, positions_, work.columns);
    }
    if (gradients.weight) {
      BatchedProduct<Dtype>(shape_.groups, rows, inner, merged, {work.outputs, merged, output_step},
                            {work.columns, merged, column_step, true}, 1, {gradients.weight, inner, weight_step});
    }
  });
}

template class ColumnConvolution<float>;
template class ColumnConvolution<double>;

}  // namespace caffe
#endif
