#ifndef CAFFE_ACU_SAMPLING_TILED_CONVOLUTION_HPP_
#define CAFFE_ACU_SAMPLING_TILED_CONVOLUTION_HPP_

#include <vector>

#include "caffe_acu/sampling/active_convolution.hpp"
#include "caffe_acu/sampling/tiles.hpp"
#include "caffe_acu/util/aligned_buffer.hpp"

namespace caffe {

/**
 * @brief An active convolution as matrix products of tiles (docs/kernels.md draws what is read and
 *        written).
 *
 * Channels are taken in blocks of about kBlockRows sampled rows. A part is what a block and a convolution
 * group have in common: its rows of samples meet the weights of its group.
 */
template <typename Dtype>
class TiledConvolution {
 public:
  TiledConvolution(const ActiveConvolutionShape& shape, const ActiveConvolutionParameters<Dtype>& parameters);

  void Forward(const Dtype* input, Dtype* output) const;
  /// All gradients but the bias's.
  void Backward(const Dtype* input, const Dtype* output_gradient,
                const ActiveConvolutionGradients<Dtype>& gradients) const;

 private:
  static constexpr int kBlockRows = 288;
  // Outputs that are multiplied before they are written to their images.
  static constexpr int kOutputRows = 192;

  struct Part {
    int group;
    int channel;            // the first
    bool first, last;       // of its group
    int row, rows;          // of the block's samples
    size_t packed;          // where its weights stand, packed in either order
    size_t partial;         // where its weight gradient stands in a chunk's
  };
  struct Block {
    int channel, channels;
    std::vector<Part> parts;
  };
  struct Workspace;

  void MakeBlocks();
  Dtype* Pack(bool transposed, AlignedBuffer<Dtype>* buffer) const;
  void ForwardTile(int index, const Dtype* packed, const Dtype* input, Dtype* output) const;
  void BackwardBlock(const Block& block, int begin, int end, const Dtype* packed, const Dtype* input,
                     const Dtype* output_gradient, const ActiveConvolutionGradients<Dtype>& gradients,
                     Dtype* partial_weight, double* partial_positions) const;
  void BackwardChannel(int channel, const std::vector<TilePart>& tile, const Dtype* input, Dtype* input_gradient,
                       bool samples, Dtype* rows, double* position_sums) const;
  // Where the part's first pixel stands in output plane d.
  size_t OutputAt(const TilePart& part, int d) const {
    return part.image * shape_.output_step() + static_cast<size_t>(d) * shape_.geometry.out_size() +
           part.in_plane(shape_.geometry.out_width);
  }
  void WriteOutputs(const std::vector<TilePart>& tile, int first, int count, const Dtype* rows, Dtype* output) const;
  void ReadOutputs(const std::vector<TilePart>& tile, int first, int count, const Dtype* output, Dtype* rows) const;
  void AddWeightGradients(int chunks, const Dtype* partial, Dtype* weight_gradient) const;
  void AddPositionGradients(int chunks, const double* partial,
                            const ActiveConvolutionGradients<Dtype>& gradients) const;

  const ActiveConvolutionShape shape_;
  const ActiveConvolutionParameters<Dtype> parameters_;
  const Tiles tiles_;
  const SamplingPlan plan_;
  std::vector<Block> blocks_;
  bool groups_are_split_ = false;
  int most_rows_ = 0;           // of a block
  int gradient_columns_;        // of a row of the transposed weight gradient
  size_t partial_size_ = 0;     // of a chunk's weight gradient
};

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_TILED_CONVOLUTION_HPP_
