#ifndef CAFFE_ACU_SAMPLING_DEPTHWISE_CONVOLUTION_HPP_
#define CAFFE_ACU_SAMPLING_DEPTHWISE_CONVOLUTION_HPP_

#include <vector>

#include "caffe_acu/sampling/active_convolution.hpp"

namespace caffe {

/**
 * @brief An active convolution whose groups have one channel each, as a sparse convolution on the lattice.
 *
 * By Theorem 2 (grouped paper), the samples of the K synapses with their weights are a weighted sum of
 * lattice taps: at most 4 K, and less where synapses have neighbours in common. So there is no column
 * buffer and no matrix product: a plane is read once, the taps run over it while it is in the cache.
 *
 * Backward, too: with G[t] the gradient of a lattice tap, by the chain rule through equation 6
 *   dL/dw_k     = sum over the four neighbours q of weight_q G[q]
 *   dL/dalpha_k = w_k ((1-b)(G[Q21] - G[Q11]) + b (G[Q22] - G[Q12]))
 *   dL/dbeta_k  = w_k ((1-a)(G[Q12] - G[Q11]) + a (G[Q22] - G[Q21])).
 */
template <typename Dtype>
class DepthwiseConvolution {
 public:
  DepthwiseConvolution(const ActiveConvolutionShape& shape, const ActiveConvolutionParameters<Dtype>& parameters);

  void Forward(const Dtype* input, Dtype* output) const;
  /// All gradients but the bias's; shape.depthwise() layers never add to the input's.
  void Backward(const Dtype* input, const Dtype* output_gradient,
                const ActiveConvolutionGradients<Dtype>& gradients) const;

 private:
  struct Workspace;
  // The way back to an input plane, or to the part of its slab that has the same remainders: the taps that
  // reach it, mirrored, with their offsets in the slab of the output gradient. Several outputs of a channel
  // follow each other.
  struct Phase {
    int begin;  // in the input plane if direct_, else in the slab
    int rows, columns;
    std::vector<int> offset;
    std::vector<Dtype> coefficient;
  };
  // The distinct lattice taps of a position set.
  struct TapList {
    int used = 0, count = 0;  // the first `used` of them have an influence on the output
    int* offset;              // (count), in the slab
    int* neighbour;           // (synapses, 4): indices of the taps, undefined for what is not visible
  };

  void ListTaps(int set, std::vector<int>* index_of_offset);
  std::vector<Phase> MakePhases(int channel, const Dtype* coefficients) const;
  SlabShape MakeGradientSlab() const;
  // Coefficients (outputs, most_taps_) of the outputs on their sets' taps.
  const Dtype* MakeCoefficients() const;
  void BackwardChannels(int first, int last, int begin, int end, const Dtype* coefficients, const Dtype* input,
                        const Dtype* output_gradient, const ActiveConvolutionGradients<Dtype>& gradients,
                        double* tap_gradients) const;
  void InputGradient(const std::vector<Phase>& phases, const Dtype* gradient_slabs, Dtype* plane_gradient) const;
  void AddParameterGradients(int chunks, const double* tap_gradients,
                             const ActiveConvolutionGradients<Dtype>& gradients) const;

  const ActiveConvolutionShape shape_;
  const ActiveConvolutionParameters<Dtype> parameters_;
  const OutputPart whole_plane_;
  const SamplingPlan plan_;
  const SlabShape slab_;           // of a plane, for all sets
  const SlabShape gradient_slab_;  // of a plane of the output gradient
  const int gradient_slab_size_;
  const bool covered_;  // every input is in the slab
  // The taps, mirrored, make the input gradient in its own place: no stride, and the slab has whole rows.
  const bool direct_;
  std::vector<TapList> taps_;  // of the sets
  std::vector<int> tap_offsets_, tap_neighbours_;  // their arrays
  int most_taps_ = 0;
};

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_DEPTHWISE_CONVOLUTION_HPP_
