#ifndef CAFFE_ACU_LAYERS_ACTIVE_LAYER_HPP_
#define CAFFE_ACU_LAYERS_ACTIVE_LAYER_HPP_

#include <vector>

#include "caffe/blob.hpp"
#include "caffe/layer.hpp"
#include "caffe/proto/caffe.pb.h"
#include "caffe_acu/sampling/active_convolution.hpp"
#include "caffe_acu/shapes/start_positions.hpp"
#include "caffe_acu/step/position_step.hpp"

namespace caffe {

/**
 * @brief What the layer types of active convolutions share: everything but how a prototxt describes them.
 *
 * Bottom (N, C, H, W), top (N, D, H', W'); several bottoms each make a top of their own, with the same
 * parameters. N may be 0; H and W may change between calls.
 *
 * Blobs:
 *   0 weight (D, C / groups, kh, kw), synapse k = i * kw + j
 *   1 bias (D); a single zero (1, 1, 1, 1) where there is no bias term
 *   2 x and 3 y (sets, 1, kh, kw): the displacements alpha and beta of equation 3, in input pixels
 *
 * The gradients of the positions are raw (equations 12 and 13). Normalisation and warm-up belong to the
 * solver's step, see PositionStep.
 */
template <typename Dtype>
class ActiveLayer : public Layer<Dtype>, public HasPositions {
 public:
  explicit ActiveLayer(const LayerParameter& param) : Layer<Dtype>(param) {}

  void LayerSetUp(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Reshape(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  inline int MinBottomBlobs() const override { return 1; }
  inline bool EqualNumBottomTopBlobs() const override { return true; }
  PositionRule position_rule() const override { return settings_.rule; }

 protected:
  enum BlobIndex { kWeight, kBias, kX, kY, kNumBlobs };

  /// A layer's description, whatever the dialect of the prototxt. Pairs are {height, width}.
  struct Settings {
    int kernel[2];  // the last axes of weight and positions; K is their product
    int extent[2];  // what the kernel covers of the input, as far as the output size is concerned
    int centre[2];  // the base point within that extent
    int stride[2], pad[2];
    int groups;  // of the convolution
    int sets;    // of positions
    bool sets_slice_outputs;  // the authors' meaning of sets: each serves a slice of the outputs, not of the input
    std::vector<Position> start;  // K of them, for every set
    double noise;                 // standard deviation in pixels
    PositionRule rule;

    int synapses() const { return kernel[0] * kernel[1]; }
  };

  /// Reads and checks the layer's parameters.
  virtual Settings ReadSettings() const = 0;

  void Forward_cpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_cpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
#ifndef CPU_ONLY
  void Forward_gpu(const vector<Blob<Dtype>*>& bottom, const vector<Blob<Dtype>*>& top) override;
  void Backward_gpu(const vector<Blob<Dtype>*>& top, const vector<bool>& propagate_down,
                    const vector<Blob<Dtype>*>& bottom) override;
#endif

 private:
  void MakeBlobs();
  void FillPositions();
  void WarnOfDefaultRates() const;
  bool has_bias() const { return this->layer_param_.convolution_param().bias_term(); }
  // For a bottom; all bottoms share everything but N, H and W.
  ActiveConvolutionShape Shape(const Blob<Dtype>& bottom) const;
  // An active convolution of its own for each slice of the outputs; there is one slice, unless the sets
  // slice the outputs.
  int slices() const { return settings_.sets_slice_outputs ? settings_.sets : 1; }
  // Where a blob's data or diff lies, on the CPU or the GPU.
  typedef const Dtype* (Blob<Dtype>::*Data)() const;
  typedef Dtype* (Blob<Dtype>::*MutableDiff)();
  ActiveConvolutionParameters<Dtype> Parameters(const ActiveConvolutionShape& shape, int slice, Data data) const;
  ActiveConvolutionGradients<Dtype> Gradients(const ActiveConvolutionShape& shape, int slice, MutableDiff diff,
                                              Blob<Dtype>* bottom, bool propagate_down) const;
  // Calls f(index of the bottom, shape, slice) for all of them; an empty batch has none.
  template <typename Function>
  void ForEachSlice(const vector<Blob<Dtype>*>& bottom, Function f) const;

  Settings settings_;
  int channels_;
  int outputs_;
};

}  // namespace caffe

#endif  // CAFFE_ACU_LAYERS_ACTIVE_LAYER_HPP_
