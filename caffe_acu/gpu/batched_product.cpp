#ifndef CPU_ONLY
#include "caffe_acu/gpu/batched_product.hpp"

#include "caffe/common.hpp"

namespace caffe {
namespace {

template <typename Dtype>
constexpr auto kStridedBatched = cublasSgemmStridedBatched;
template <>
constexpr auto kStridedBatched<double> = cublasDgemmStridedBatched;

}  // namespace

// cuBLAS reads columns where we write rows, hence everything transposed: C^T = B^T A^T.
template <typename Dtype>
void BatchedProduct(int batch, int rows, int columns, int inner, const BatchedMatrix<const Dtype>& a,
                    const BatchedMatrix<const Dtype>& b, Dtype beta, const BatchedMatrix<Dtype>& c) {
  const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  const Dtype one = 1;
  CUBLAS_CHECK(kStridedBatched<Dtype>(Caffe::cublas_handle(), op(b.transposed), op(a.transposed), columns, rows, inner,
                                      &one, b.data, b.row_step, b.step, a.data, a.row_step, a.step, &beta, c.data,
                                      c.row_step, c.step, batch));
}

template void BatchedProduct(int, int, int, int, const BatchedMatrix<const float>&, const BatchedMatrix<const float>&,
                             float, const BatchedMatrix<float>&);
template void BatchedProduct(int, int, int, int, const BatchedMatrix<const double>&,
                             const BatchedMatrix<const double>&, double, const BatchedMatrix<double>&);

}  // namespace caffe
#endif
