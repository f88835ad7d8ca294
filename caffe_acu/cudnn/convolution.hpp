#ifndef CAFFE_ACU_CUDNN_CONVOLUTION_HPP_
#define CAFFE_ACU_CUDNN_CONVOLUTION_HPP_

#ifdef USE_CUDNN
#include <array>
#include <tuple>

#include "caffe_acu/cudnn/descriptors.hpp"

namespace caffe {

/// The sizes of a convolution of (images, input) by (output channels, input channels / groups, kernel) to
/// (images, output), all arrays contiguous.
struct CudnnConvolutionShape {
  int images;
  std::array<int, 3> input, output;                 // channels, height, width
  std::array<int, 2> kernel, stride, pad, dilation;  // vertical, horizontal
  int groups;

  /// Whether cuDNN takes it: nothing empty, and a kernel no larger than the padded input. (Caffe lets it be
  /// larger by less than a stride: it rounds the size of the output towards 0.)
  bool IsProper() const {
    for (int axis = 0; axis < 2; ++axis) {
      const int extent = dilation[axis] * (kernel[axis] - 1) + 1;
      if (input[1 + axis] < 1 || output[1 + axis] < 1 || input[1 + axis] + 2 * pad[axis] < extent) return false;
    }
    return images > 0;
  }

  /// For comparing two.
  auto Tied() const { return std::tie(images, input, output, kernel, stride, pad, dilation, groups); }
  bool operator==(const CudnnConvolutionShape& other) const { return Tied() == other.Tied(); }
  bool operator<(const CudnnConvolutionShape& other) const { return Tied() < other.Tied(); }
};

/// An array (images, channels, height, width) as cuDNN describes it, and a value for each channel: a bias.
template <typename Dtype>
class CudnnPlanes {
 public:
  CudnnPlanes(int images, const std::array<int, 3>& plane);

  /// data += bias, which is (channels).
  void AddBias(const Dtype* bias, Dtype* data) const;
  /// bias_gradient += gradient, summed over images and places.
  void AddBiasGradient(const Dtype* gradient, Dtype* bias_gradient) const;

  const CudnnTensor& tensor() const { return tensor_; }

 private:
  CudnnTensor tensor_, bias_;
};

/**
 * @brief A convolution of one shape with cuDNN: input x, weight w, output y; d stands for a gradient.
 *
 * All pointers are to the current GPU's memory. Works on the default stream without waiting for it, in
 * single precision without TF32, with all groups in one call.
 *
 * Which algorithm a pass takes is decided when the pass is first called for a shape on a thread and GPU:
 * as cuDNN guesses, or as it measures if MeasureAlgorithms(); within CudnnWorkspaceLimit() and Deterministic().
 *
 * A deconvolution is the same with bottom and top in each other's role: its bottom is our output.
 */
template <typename Dtype>
class CudnnConvolution {
 public:
  explicit CudnnConvolution(const CudnnConvolutionShape& shape);

  /// y = x * w
  void Forward(const Dtype* x, const Dtype* w, Dtype* y) const;
  /// dx = gradient + beta dx
  void BackwardData(const Dtype* w, const Dtype* dy, Dtype* dx, Dtype beta) const;
  /// dw += gradient
  void BackwardFilter(const Dtype* x, const Dtype* dy, Dtype* dw) const;

  const CudnnConvolutionShape& shape() const { return shape_; }
  const CudnnPlanes<Dtype>& input() const { return input_; }
  const CudnnPlanes<Dtype>& output() const { return output_; }

 private:
  // result = Pass(first, second) + beta result
  template <typename Pass, typename First, typename Second, typename Result>
  void Run(const First& first, const Dtype* first_data, const Second& second, const Dtype* second_data, Dtype beta,
           const Result& result, Dtype* result_data) const;

  CudnnConvolutionShape shape_;
  CudnnPlanes<Dtype> input_, output_;
  CudnnFilter weight_;
  CudnnConvolutionSettings settings_;
};

}  // namespace caffe
#endif

#endif  // CAFFE_ACU_CUDNN_CONVOLUTION_HPP_
