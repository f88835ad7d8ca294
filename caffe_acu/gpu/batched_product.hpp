#ifndef CAFFE_ACU_GPU_BATCHED_PRODUCT_HPP_
#define CAFFE_ACU_GPU_BATCHED_PRODUCT_HPP_

#include <cstddef>

namespace caffe {

/// A matrix of a batch, row-major; the next one of the batch starts `step` values further.
template <typename Dtype>
struct BatchedMatrix {
  Dtype* data;
  int row_step;  // values from one row to the next
  size_t step;
  bool transposed = false;  // read as its transpose
};

/// C_i = A_i B_i + beta C_i for i < batch, with A (rows, inner), B (inner, columns), C (rows, columns) as they
/// are read; by cuBLAS, in full precision (no TF32), on the default stream.
template <typename Dtype>
void BatchedProduct(int batch, int rows, int columns, int inner, const BatchedMatrix<const Dtype>& a,
                    const BatchedMatrix<const Dtype>& b, Dtype beta, const BatchedMatrix<Dtype>& c);

}  // namespace caffe

#endif  // CAFFE_ACU_GPU_BATCHED_PRODUCT_HPP_
