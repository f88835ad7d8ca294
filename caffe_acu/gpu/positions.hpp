#ifndef CAFFE_ACU_GPU_POSITIONS_HPP_
#define CAFFE_ACU_GPU_POSITIONS_HPP_

namespace caffe {

/// Positions of the synapses for kernels: learned ones in the GPU's memory, or, with null pointers, the
/// lattice of a convolution's kernel.
template <typename Dtype>
struct DevicePositions {
  const Dtype* alpha;  // (sets, synapses)
  const Dtype* beta;
  int kernel_h, kernel_w, dilation_h, dilation_w;  // of the lattice

  static DevicePositions Learned(const Dtype* alpha, const Dtype* beta) { return {alpha, beta, 1, 1, 1, 1}; }
  static DevicePositions Lattice(int kernel_h, int kernel_w, int dilation_h, int dilation_w) {
    return {nullptr, nullptr, kernel_h, kernel_w, dilation_h, dilation_w};
  }
};

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_POSITIONS_HPP_
