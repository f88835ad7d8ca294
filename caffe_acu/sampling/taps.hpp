#ifndef CAFFE_ACU_SAMPLING_TAPS_HPP_
#define CAFFE_ACU_SAMPLING_TAPS_HPP_

namespace caffe {

/// A grid of rows x columns values inside a slab: rows `pitch` apart, columns adjacent.
struct Grid {
  int rows, columns, pitch;
};

/// A synapse, as a slab's grid sees it: its four neighbours are four copies of the grid.
struct Tap {
  enum Neighbour { Q11, Q21, Q12, Q22 };

  bool visible;      // false: all samples lie outside the image and are 0
  double a, b;       // fractions of alpha and beta (equation 7)
  int offset[4];     // of Q11, Q21, Q12, Q22 in the slab
  double weight[4];  // (1-a)(1-b), a(1-b), (1-a)b, ab
};

/// Samples of K synapses (equation 6): rows[k * row_pitch ..], each a dense grid. A neighbour with weight 0
/// has no influence, so that a synapse on a lattice point gives exactly the input's value.
template <typename T>
void SampleTaps(const Grid& grid, int K, const Tap* taps, const T* slab, T* rows, int row_pitch);

/// What BackwardTaps is to do besides; null means not wanted.
template <typename T>
struct TapGradients {
  const T* slab;        // for position_sums and samples
  T* slab_gradient;     // added to (equation 14)
  double* positions;    // (K, {alpha, beta}), added to (equations 12 and 13)
  bool samples;         // overwrite the rows with the samples
};

/**
 * @brief The way back from `rows`, the gradients of the samples, to the neighbours and the positions.
 *
 * The derivatives follow from three sums over the grid, of the gradient times differences of neighbours:
 *   d/dalpha = (1-b)(Q21-Q11) + b(Q22-Q12) = sum of (Q21-Q11) + b * sum of ((Q22-Q12)-(Q21-Q11))
 *   d/dbeta  = (1-a)(Q12-Q11) + a(Q22-Q21) = sum of (Q12-Q11) + a * the same mixed sum
 */
template <typename T>
void BackwardTaps(const Grid& grid, int K, const Tap* taps, T* rows, int row_pitch,
                  const TapGradients<T>& gradients);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_TAPS_HPP_
