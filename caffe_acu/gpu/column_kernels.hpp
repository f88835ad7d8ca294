#ifndef CAFFE_ACU_GPU_COLUMN_KERNELS_HPP_
#define CAFFE_ACU_GPU_COLUMN_KERNELS_HPP_

#include <cstddef>

#include "caffe_acu/gpu/positions.hpp"
#include "caffe_acu/sampling/plan.hpp"

namespace caffe {

/**
 * @brief Some images whose samples are the columns of a matrix: columns (channels * synapses, images *
 *        out_size), so that one product takes all images at once.
 */
struct ColumnShape {
  int images, channels, synapses, sets;
  SamplingGeometry geometry;

  int merged() const { return images * geometry.out_size(); }  // columns of the matrix
  size_t size() const { return static_cast<size_t>(channels) * synapses * merged(); }
};

/// The samples of all synapses (equation 6). input (images, channels, height, width).
template <typename Dtype>
void SampleColumns(const ColumnShape& shape, const Dtype* input, const DevicePositions<Dtype>& positions,
                   Dtype* columns);

/// The way back from the samples' gradients to the input's (equation 14). Every pixel gathers what it gave,
/// so that nothing has to be added atomically. Overwrites input_gradient, or adds to it if `add`.
template <typename Dtype>
void GatherInputGradient(const ColumnShape& shape, const Dtype* columns, const DevicePositions<Dtype>& positions,
                         bool add, Dtype* input_gradient);

/// Blocks into which PositionSums cuts the outputs.
int PositionSumBlocks(const ColumnShape& shape);

/// Sums over outputs of the samples' gradients times the samples' derivatives (equations 12 and 13):
/// sums (channels, synapses, PositionSumBlocks, {alpha, beta}), or null. Overwrites the columns with the
/// samples, if these are wanted: the weights' gradient needs them next.
template <typename Dtype>
void PositionSums(const ColumnShape& shape, const Dtype* input, const DevicePositions<Dtype>& positions,
                  bool samples, Dtype* columns, Dtype* sums);

/// merged (planes, images * size) and images (images, planes, size), `image_step` values apart: the same values
/// in two orders.
struct PlaneOrder {
  int images, planes, size;
  size_t image_step;
};

/// From merged order to that of images; adds a value per plane, unless bias is null.
template <typename Dtype>
void SplitImages(const PlaneOrder& order, const Dtype* merged, const Dtype* bias, Dtype* images);

template <typename Dtype>
void MergeImages(const PlaneOrder& order, const Dtype* images, Dtype* merged);

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_COLUMN_KERNELS_HPP_
