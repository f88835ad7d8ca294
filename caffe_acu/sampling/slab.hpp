#ifndef CAFFE_ACU_SAMPLING_SLAB_HPP_
#define CAFFE_ACU_SAMPLING_SLAB_HPP_

namespace caffe {

/// Values that kernels may read beyond a slab's end, in whole vectors.
constexpr int kSlabSlack = 16;  // a vector of 64 bytes

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

/// The distance of rows for at least this many columns. Short rows get a cache line each, so that no vector
/// is spread over two.
inline int SlabPitch(int columns) { return columns < 16 ? 16 : columns; }

/// Fills the slab from the plane; what lies outside of the plane becomes 0.
template <typename T>
void SpreadSlab(const SlabShape& shape, const T* plane, T* slab);

/// The same for a slab in which what lies outside of the plane is 0 already.
template <typename T>
void RefillSlab(const SlabShape& shape, const T* plane, T* slab);

/// plane = slab where they meet, the way back from SpreadSlab.
template <typename T>
void UnspreadSlab(const SlabShape& shape, const T* slab, T* plane);

/// plane += slab, the transpose of SpreadSlab.
template <typename T>
void GatherSlab(const SlabShape& shape, const T* slab, T* plane);

}  // namespace caffe

#endif  // CAFFE_ACU_SAMPLING_SLAB_HPP_
