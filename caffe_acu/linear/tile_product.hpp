#ifndef CAFFE_ACU_LINEAR_TILE_PRODUCT_HPP_
#define CAFFE_ACU_LINEAR_TILE_PRODUCT_HPP_

namespace caffe {

// Products of matrices that are small enough to stay in a core's cache, and that our own code has just
// written there, where it wants them. That is why this is not BLAS, which would copy both operands into
// an order of its own first.

/// Columns are processed in whole vectors: B and C need room for this many, at least `columns`. What
/// stands in B beyond `columns` is read but has no influence on the columns in front of it.
template <typename T>
int PaddedColumns(int columns);

/// Brings A (rows, depth), A(i, k) = a[i * row_step + k * depth_step], into the order in which
/// PanelProduct reads it; `panels` holds rows * depth values.
template <typename T>
void PackPanels(int rows, int depth, const T* a, int row_step, int depth_step, T* panels);

/// C (rows, columns) = A B, or C += A B if `add`. A comes from PackPanels; row k of B begins at
/// b[k * b_pitch], row i of C at c[i * c_pitch].
template <typename T>
void PanelProduct(int rows, int columns, int depth, const T* panels, const T* b, int b_pitch, T* c, int c_pitch,
                  bool add);

/// C += A B with A (rows, depth) as it lies: row i begins at a[i * kRowPitch].
template <typename T>
void RowProduct(int rows, int columns, int depth, const T* a, const T* b, int b_pitch, T* c, int c_pitch);

/// B (columns, rows) = the transpose of A (rows, columns).
template <typename T>
void Transpose(int rows, int columns, const T* a, int a_pitch, T* b, int b_pitch);

/// The fixed distance of rows in RowProduct, a multiple of a cache line that is no power of two, so that
/// the rows of a tile do not compete for the same places in the cache.
constexpr int kRowPitch = 272;

}  // namespace caffe

#endif  // CAFFE_ACU_LINEAR_TILE_PRODUCT_HPP_
