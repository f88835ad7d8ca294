#ifndef CAFFE_ACU_SHAPES_START_POSITIONS_HPP_
#define CAFFE_ACU_SHAPES_START_POSITIONS_HPP_

#include <vector>

namespace caffe {

/// A displacement from the base point in input pixels: x = alpha to the right, y = beta downwards.
struct Position {
  double x, y;
};

/// The taps of a kernel_h x kernel_w convolution in raster order, measured from the tap
/// (kernel_h div 2, kernel_w div 2).
std::vector<Position> LatticePositions(int kernel_h, int kernel_w, double dilation_h, double dilation_w);

/// The authors' start: synapse 0 at (0, 0), the others evenly on a ring, the first of them at `angle`
/// (radians, from the x axis towards y). `rounded`: to the nearest lattice points.
std::vector<Position> RingPositions(int synapses, double radius, double angle, bool rounded);

}  // namespace caffe

#endif  // CAFFE_ACU_SHAPES_START_POSITIONS_HPP_
