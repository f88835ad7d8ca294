#ifndef CPU_ONLY
#include "caffe_acu/gpu/batched_product.hpp"

#include "caffe/common.hpp"

namespace caffe {
namespace {

cublasStatus_t StridedBatched(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const float* a,
                              int lda, size_t step_a, const float* b, int ldb, size_t step_b, float beta, float* c,
                              int ldc, size_t step_c, int batch) {
  const float one = 1;
  return cublasSgemmStridedBatched(Caffe::cublas_handle(), op_a, op_b, m, n, k, &one, a, lda, step_a, b, ldb, step_b,
                                   &beta, c, ldc, step_c, batch);
}

cublasStatus_t StridedBatched(cublasOperation_t op_a, cublasOperation_t op_b, int m, int n, int k, const double* a,
                              int lda, size_t step_a, const double* b, int ldb, size_t step_b, double beta, double* c,
                              int ldc, size_t step_c, int batch) {
  const double one = 1;
  return cublasDgemmStridedBatched(Caffe::cublas_handle(), op_a, op_b, m, n, k, &one, a, lda, step_a, b, ldb, step_b,
                                   &beta, c, ldc, step_c, batch);
}

}  // namespace

// cuBLAS reads columns where we write rows, hence everything transposed: C^T = B^T A^T.
template <typename Dtype>
void BatchedProduct(int batch, int rows, int columns, int inner, const BatchedMatrix<const Dtype>& a,
                    const BatchedMatrix<const Dtype>& b, Dtype beta, const BatchedMatrix<Dtype>& c) {
  const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  CUBLAS_CHECK(StridedBatched(op(b.transposed), op(a.transposed), columns, rows, inner, b.data, b.row_step, b.step,
                              a.data, a.row_step, a.step, beta, c.data, c.row_step, c.step, batch));
}

template void BatchedProduct(int, int, int, int, const BatchedMatrix<const float>&, const BatchedMatrix<const float>&,
                             float, const BatchedMatrix<float>&);
template void BatchedProduct(int, int, int, int, const BatchedMatrix<const double>&,
                             const BatchedMatrix<const double>&, double, const BatchedMatrix<double>&);

}  // namespace caffe
#endif
