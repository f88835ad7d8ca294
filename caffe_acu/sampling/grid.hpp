#ifndef CAFFE_ACU_SAMPLING_GRID_HPP_
#define CAFFE_ACU_SAMPLING_GRID_HPP_

namespace caffe {

/// A grid of rows x columns values inside a bordered plane: rows `pitch` apart, columns adjacent.
/// The other side of each function is dense, rows x columns.
struct Grid {
  int rows, columns, pitch;
};

/// out = sum over q of weight[q] * neighbour[q] (equation 6). Neighbours with weight 0 are not read, so
/// that a synapse on a lattice point gives exactly the input's value.
void SampleGrid(const Grid& grid, const float* const neighbour[4], const double weight[4], float* out);
void SampleGrid(const Grid& grid, const double* const neighbour[4], const double weight[4], double* out);

/// neighbour[q] += weight[q] * gradient: the transpose of SampleGrid (equation 14).
void ScatterGrid(const Grid& grid, const float* gradient, const double weight[4], float* const neighbour[4]);
void ScatterGrid(const Grid& grid, const double* gradient, const double weight[4], double* const neighbour[4]);

/// Sums over the grid of gradient times differences of neighbours, from which equations 12 and 13
/// follow for any fractions a and b:
///   d/dalpha = (1-b)(Q21-Q11) + b(Q22-Q12) = horizontal + b * mixed
///   d/dbeta  = (1-a)(Q12-Q11) + a(Q22-Q21) = vertical   + a * mixed
struct PositionSums {
  double horizontal;  // Q21 - Q11
  double vertical;    // Q12 - Q11
  double mixed;       // (Q22 - Q12) - (Q21 - Q11)
};
PositionSums SumPositions(const Grid& grid, const float* gradient, const float* const neighbour[4]);
PositionSums SumPositions(const Grid& grid, const double* gradient, const double* const neighbour[4]);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_GRID_HPP_
