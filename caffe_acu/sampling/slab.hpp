#ifndef CAFFE_ACU_SAMPLING_SLAB_HPP_
#define CAFFE_ACU_SAMPLING_SLAB_HPP_

namespace caffe {

/// Values that kernels may read beyond a slab's end, in whole vectors.
constexpr int kSlabSlack = 16;

/**
 * @brief A window of an input plane, which may reach beyond it, laid out for sampling: for each phase
 *        (i mod stride_h, j mod stride_w) of its rows i and columns j a dense array of `pitch` columns.
 *
 * Row i, column j of the slab is input row `row` + i and column `column` + j.
 */
struct SlabShape {
  int plane_height, plane_width;
  int row, column;  // of the input; may be negative
  int rows, columns;
  int stride_h, stride_w;
  int pitch, phase_size;
};

/// Fills the slab from the plane; what lies outside of the plane becomes 0.
template <typename T>
void SpreadSlab(const SlabShape& shape, const T* plane, T* slab);

/// plane += slab, the transpose of SpreadSlab.
template <typename T>
void GatherSlab(const SlabShape& shape, const T* slab, T* plane);

/// A grid of rows x columns values inside a slab: rows `pitch` apart, columns adjacent. The other side of
/// each of the following functions is dense, rows x columns.
struct Grid {
  int rows, columns, pitch;
};

/// out = sum over q of weight[q] * neighbour[q] (equation 6). Neighbours with weight 0 have no influence,
/// so that a synapse on a lattice point gives exactly the input's value.
template <typename T>
void SampleGrid(const Grid& grid, const T* const neighbour[4], const double weight[4], T* out);

/// neighbour[q] += weight[q] * gradient: the transpose of SampleGrid (equation 14).
template <typename T>
void ScatterGrid(const Grid& grid, const T* gradient, const double weight[4], T* const neighbour[4]);

/// Sums over the grid of gradient times differences of neighbours, from which equations 12 and 13
/// follow for any fractions a and b:
///   d/dalpha = (1-b)(Q21-Q11) + b(Q22-Q12) = horizontal + b * mixed
///   d/dbeta  = (1-a)(Q12-Q11) + a(Q22-Q21) = vertical   + a * mixed
struct PositionSums {
  double horizontal;  // Q21 - Q11
  double vertical;    // Q12 - Q11
  double mixed;       // (Q22 - Q12) - (Q21 - Q11)
};
template <typename T>
void SumPositions(const Grid& grid, const T* gradient, const T* const neighbour[4], PositionSums* sums);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_SLAB_HPP_
