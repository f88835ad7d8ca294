#include "caffe_acu/sampling/active_convolution.hpp"

#include <algorithm>
#include <vector>

#include "caffe/util/math_functions.hpp"
#include "caffe_acu/sampling/grid.hpp"
#include "caffe_acu/util/parallel.hpp"

namespace caffe {
namespace {

// Chunks of images whose gradients are summed on their own. More would spread over more cores but
// cost a copy of the weight gradient each.
constexpr int kMaxChunks = 16;
// Pieces in which the chunks' weight gradients are added up.
constexpr int kReduceGrain = 1 << 14;

// Buffers of a thread, shared by all layers; they grow to the largest need and stay.
template <typename Dtype>
struct Workspace {
  std::vector<Dtype> columns;         // (channels * synapses, out_size)
  std::vector<Dtype> plane;           // bordered input plane
  std::vector<Dtype> plane_gradient;  // bordered
  std::vector<Dtype> partial_weight;  // (chunks, outputs * channels * synapses), of the calling thread

  static Workspace& OfThisThread() {
    thread_local Workspace workspace;
    return workspace;
  }
};

template <typename Dtype>
Dtype* AtLeast(std::vector<Dtype>* buffer, size_t size) {
  if (buffer->size() < size) buffer->resize(size);
  return buffer->data();
}

template <typename Dtype>
Dtype* Zeroed(std::vector<Dtype>* buffer, size_t size) {
  Dtype* data = AtLeast(buffer, size);
  std::fill_n(data, size, Dtype(0));
  return data;
}

// Everything that follows from shape and positions, and that one image needs.
template <typename Dtype>
class Operation {
 public:
  Operation(const ActiveConvolutionShape& shape, const Dtype* weight, const Dtype* alpha, const Dtype* beta)
      : shape_(shape),
        plan_(shape.geometry, shape.sets * shape.synapses, alpha, beta),
        weight_(weight),
        out_size_(shape.geometry.out_size()),
        rows_(shape.channels * shape.synapses),
        outputs_per_set_(shape.outputs / shape.sets),
        grid_{shape.geometry.out_height, shape.geometry.out_width, plan_.pitch()} {}

  void ForwardImage(const Dtype* input, const Dtype* bias, Dtype* output) const {
    Workspace<Dtype>& workspace = Workspace<Dtype>::OfThisThread();
    Dtype* columns = AtLeast(&workspace.columns, static_cast<size_t>(rows_) * out_size_);
    Dtype* plane = Zeroed(&workspace.plane, plan_.plane_size());
    for (int d = 0; d < shape_.outputs; ++d) {
      std::fill_n(output + d * out_size_, out_size_, bias ? bias[d] : Dtype(0));
    }
    for (int set = 0; set < shape_.sets; ++set) {
      for (int c = 0; c < shape_.channels; ++c) {
        plan_.Spread(input + c * shape_.geometry.in_size(), plane);
        for (int k = 0; k < shape_.synapses; ++k) SampleRow(set, k, plane, Row(columns, c, k));
      }
      caffe_cpu_gemm<Dtype>(CblasNoTrans, CblasNoTrans, outputs_per_set_, out_size_, rows_, Dtype(1),
                            SetWeight(weight_, set), columns, Dtype(1), SetOutput(output, set));
    }
  }

  // `weight_gradient` (outputs, channels, synapses) is added to unless `first`; `position_sums`
  // (sets, synapses, {alpha, beta}) is added to always.
  void BackwardImage(const Dtype* input, const Dtype* output_gradient, bool first, Dtype* input_gradient,
                     Dtype* weight_gradient, double* position_sums) const {
    Workspace<Dtype>& workspace = Workspace<Dtype>::OfThisThread();
    Dtype* columns = AtLeast(&workspace.columns, static_cast<size_t>(rows_) * out_size_);
    Dtype* plane = Zeroed(&workspace.plane, plan_.plane_size());
    const int in_size = shape_.geometry.in_size();
    for (int set = 0; set < shape_.sets; ++set) {
      if (input_gradient || position_sums) {
        caffe_cpu_gemm<Dtype>(CblasTrans, CblasNoTrans, rows_, out_size_, outputs_per_set_, Dtype(1),
                              SetWeight(weight_, set), SetOutput(output_gradient, set), Dtype(0), columns);
      }
      for (int c = 0; c < shape_.channels; ++c) {
        if (position_sums || weight_gradient) plan_.Spread(input + c * in_size, plane);
        Dtype* plane_gradient =
            input_gradient ? Zeroed(&workspace.plane_gradient, plan_.plane_size()) : nullptr;
        for (int k = 0; k < shape_.synapses; ++k) {
          Dtype* row = Row(columns, c, k);
          if (position_sums) SumRow(set, k, plane, row, position_sums);
          if (input_gradient) ScatterRow(set, k, row, plane_gradient);
          if (weight_gradient) SampleRow(set, k, plane, row);
        }
        if (input_gradient) plan_.Gather(plane_gradient, set > 0, input_gradient + c * in_size);
      }
      if (weight_gradient) {
        caffe_cpu_gemm<Dtype>(CblasNoTrans, CblasTrans, outputs_per_set_, rows_, out_size_, Dtype(1),
                              SetOutput(output_gradient, set), columns, Dtype(first ? 0 : 1),
                              SetWeight(weight_gradient, set));
      }
    }
  }

  int in_size() const { return shape_.channels * shape_.geometry.in_size(); }
  int out_size() const { return shape_.outputs * out_size_; }
  int weight_size() const { return shape_.outputs * rows_; }

 private:
  const SamplingPlan::Tap& Tap(int set, int k) const { return plan_.tap(set * shape_.synapses + k); }
  Dtype* Row(Dtype* columns, int c, int k) const {
    return columns + static_cast<size_t>(c * shape_.synapses + k) * out_size_;
  }
  template <typename T>
  T* SetWeight(T* weight, int set) const { return weight + set * outputs_per_set_ * rows_; }
  template <typename T>
  T* SetOutput(T* output, int set) const { return output + set * outputs_per_set_ * out_size_; }

  void SampleRow(int set, int k, const Dtype* plane, Dtype* row) const {
    const SamplingPlan::Tap& tap = Tap(set, k);
    if (!tap.visible) {
      std::fill_n(row, out_size_, Dtype(0));
      return;
    }
    const Dtype* neighbour[4];
    for (int q = 0; q < 4; ++q) neighbour[q] = plane + tap.offset[q];
    SampleGrid(grid_, neighbour, tap.weight, row);
  }

  void ScatterRow(int set, int k, const Dtype* row, Dtype* plane_gradient) const {
    const SamplingPlan::Tap& tap = Tap(set, k);
    if (!tap.visible) return;
    Dtype* neighbour[4];
    for (int q = 0; q < 4; ++q) neighbour[q] = plane_gradient + tap.offset[q];
    ScatterGrid(grid_, row, tap.weight, neighbour);
  }

  // Equations 12 and 13, summed over the outputs of one input channel.
  void SumRow(int set, int k, const Dtype* plane, const Dtype* row, double* position_sums) const {
    const SamplingPlan::Tap& tap = Tap(set, k);
    if (!tap.visible) return;
    const Dtype* neighbour[4];
    for (int q = 0; q < 4; ++q) neighbour[q] = plane + tap.offset[q];
    const PositionSums sums = SumPositions(grid_, row, neighbour);
    double* sum = position_sums + 2 * (set * shape_.synapses + k);
    sum[0] += sums.horizontal + tap.b * sums.mixed;
    sum[1] += sums.vertical + tap.a * sums.mixed;
  }

  const ActiveConvolutionShape& shape_;
  const SamplingPlan plan_;
  const Dtype* weight_;
  const int out_size_;  // of a plane
  const int rows_;      // of the columns
  const int outputs_per_set_;
  const Grid grid_;
};

}  // namespace

template <typename Dtype>
void ActiveConvolutionForward(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                              const Dtype* bias, const Dtype* alpha, const Dtype* beta, Dtype* output) {
  const Operation<Dtype> operation(shape, weight, alpha, beta);
  ParallelFor(shape.images, [&](int n) {
    operation.ForwardImage(input + static_cast<size_t>(n) * operation.in_size(), bias,
                           output + static_cast<size_t>(n) * operation.out_size());
  });
}

template <typename Dtype>
void ActiveConvolutionBackward(const ActiveConvolutionShape& shape, const Dtype* input, const Dtype* weight,
                               const Dtype* alpha, const Dtype* beta, const Dtype* output_gradient,
                               const ActiveConvolutionGradients<Dtype>& gradients) {
  const Operation<Dtype> operation(shape, weight, alpha, beta);
  const int chunks = std::min(shape.images, kMaxChunks);
  const int positions = shape.sets * shape.synapses;
  const int plane = shape.geometry.out_size();
  const size_t weight_size = operation.weight_size();
  Dtype* partial_weight =
      gradients.weight ? AtLeast(&Workspace<Dtype>::OfThisThread().partial_weight, chunks * weight_size)
                       : nullptr;
  std::vector<double> partial_positions(gradients.positions() ? 2 * chunks * positions : 0);
  std::vector<double> partial_bias(gradients.bias ? chunks * shape.outputs : 0);

  ParallelFor(chunks, [&](int chunk) {
    const int begin = static_cast<int64_t>(shape.images) * chunk / chunks;
    const int end = static_cast<int64_t>(shape.images) * (chunk + 1) / chunks;
    for (int n = begin; n < end; ++n) {
      const Dtype* image_gradient = output_gradient + static_cast<size_t>(n) * operation.out_size();
      const size_t in = static_cast<size_t>(n) * operation.in_size();
      if (gradients.input || gradients.weight || gradients.positions()) {
        operation.BackwardImage(input + in, image_gradient, n == begin,
                                gradients.input ? gradients.input + in : nullptr,
                                partial_weight ? partial_weight + chunk * weight_size : nullptr,
                                gradients.positions() ? &partial_positions[2 * chunk * positions] : nullptr);
      }
      if (gradients.bias) {
        for (int d = 0; d < shape.outputs; ++d) {
          double sum = 0;
          for (int i = 0; i < plane; ++i) sum += image_gradient[d * plane + i];
          partial_bias[chunk * shape.outputs + d] += sum;
        }
      }
    }
  });

  if (gradients.weight) {
    const int pieces = static_cast<int>((weight_size + kReduceGrain - 1) / kReduceGrain);
    ParallelFor(pieces, [&](int piece) {
      const size_t begin = static_cast<size_t>(piece) * kReduceGrain;
      const size_t end = std::min(weight_size, begin + kReduceGrain);
      for (int chunk = 0; chunk < chunks; ++chunk) {
        const Dtype* partial = partial_weight + chunk * weight_size;
        for (size_t i = begin; i < end; ++i) gradients.weight[i] += partial[i];
      }
    });
  }
  for (int d = 0; d < shape.outputs && gradients.bias; ++d) {
    double sum = 0;
    for (int chunk = 0; chunk < chunks; ++chunk) sum += partial_bias[chunk * shape.outputs + d];
    gradients.bias[d] += static_cast<Dtype>(sum);
  }
  for (int i = 0; i < positions && gradients.positions(); ++i) {
    double sum[2] = {0, 0};
    for (int chunk = 0; chunk < chunks; ++chunk) {
      for (int axis = 0; axis < 2; ++axis) sum[axis] += partial_positions[2 * (chunk * positions + i) + axis];
    }
    if (gradients.alpha) gradients.alpha[i] += static_cast<Dtype>(sum[0]);
    if (gradients.beta) gradients.beta[i] += static_cast<Dtype>(sum[1]);
  }
}

#define CAFFE_ACU_INSTANTIATE(Dtype)                                                                        \
  template void ActiveConvolutionForward(const ActiveConvolutionShape&, const Dtype*, const Dtype*,         \
                                         const Dtype*, const Dtype*, const Dtype*, Dtype*);                 \
  template void ActiveConvolutionBackward(const ActiveConvolutionShape&, const Dtype*, const Dtype*,        \
                                          const Dtype*, const Dtype*, const Dtype*,                         \
                                          const ActiveConvolutionGradients<Dtype>&)
CAFFE_ACU_INSTANTIATE(float);
CAFFE_ACU_INSTANTIATE(double);

}  // namespace caffe
