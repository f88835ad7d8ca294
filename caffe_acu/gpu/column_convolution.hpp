#ifndef CAFFE_ACU_GPU_COLUMN_CONVOLUTION_HPP_
#define CAFFE_ACU_GPU_COLUMN_CONVOLUTION_HPP_

#include "caffe_acu/gpu/column_kernels.hpp"
#include "caffe_acu/sampling/active_convolution.hpp"

namespace caffe {

/**
 * @brief Active convolution by matrix products: the samples of as many images as the workspace holds become
 *        the columns of one matrix, and one call of cuBLAS multiplies the weights of all groups with it.
 *
 * The way back computes W^T dY once, over the same columns: the input's gradient is gathered from it, the
 * positions' sums are taken, and each value is then replaced by its sample, which the weights' gradient
 * needs. An input's pixel is interpolated once for all outputs, forward as well as back.
 */
template <typename Dtype>
class ColumnConvolution {
 public:
  /// Pointers to the GPU's memory, for as long as the object lives.
  ColumnConvolution(const ActiveConvolutionShape& shape, const Dtype* weight, const DevicePositions<Dtype>& positions);

  void Forward(const Dtype* input, const Dtype* bias, Dtype* output) const;
  /// Of all gradients but the bias's.
  void Backward(const Dtype* input, const Dtype* output_gradient,
                const ActiveConvolutionGradients<Dtype>& gradients) const;

 private:
  // Where in the workspace things lie, for a number of images.
  struct Workspace {
    Dtype* columns;  // (channels * synapses, merged)
    Dtype* outputs;  // (outputs, merged)
    Dtype* sums;     // of the positions, if wanted
  };
  Workspace Divide(int images, bool sums) const;
  ColumnShape Columns(int images) const;
  PlaneOrder Order(int images) const;
  // Calls f(first image, images) for the chunks that the workspace holds, which are about equal.
  template <typename Function>
  void ForEachChunk(Function f) const;

  ActiveConvolutionShape shape_;
  const Dtype* weight_;
  DevicePositions<Dtype> positions_;
  int chunk_;  // images, at most
};

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_COLUMN_CONVOLUTION_HPP_
