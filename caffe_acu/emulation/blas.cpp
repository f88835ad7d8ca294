// The part of cuBLAS that Caffe and the active convolution use, by the BLAS of the CPU.
#include <cublas_v2.h>
#include <cblas.h>

#include <algorithm>

#include "caffe_acu/emulation/memory.hpp"
#include "caffe_acu/emulation/waits.hpp"

// A handle belongs to the device on which it was made.
struct cublasContext {
  int device;
  cudaStream_t stream;
};

namespace {

template <typename... Pointers>
void RequireOwn(cublasHandle_t handle, const Pointers*... memory) {
  emulation::RequireCurrent("cuBLAS", handle->device);
  emulation::RequireOwnStream("cuBLAS", handle->stream);
  emulation::RequireOwnMemory("cuBLAS", memory...);
}

CBLAS_TRANSPOSE Transpose(cublasOperation_t operation) {
  return operation == CUBLAS_OP_N ? CblasNoTrans : CblasTrans;
}

// With beta 0 cuBLAS does not read C, which may hold anything; the CPU's might.
template <typename T>
void Prepare(T beta, int m, int n, T* c, int ldc) {
  for (int j = 0; j < n && beta == 0; ++j) std::fill_n(c + static_cast<size_t>(j) * ldc, m, T(0));
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  *handle = new cublasContext{emulation::CurrentDevice(), nullptr};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  handle->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasGetStream(cublasHandle_t handle, cudaStream_t* stream) {
  *stream = handle->stream;
  return CUBLAS_STATUS_SUCCESS;
}

// One precision of each function: S or D in cuBLAS, s or d in BLAS. (The header turns the names into those of
// the present interface.)
#define CAFFE_ACU_EMULATE(P, p, T)                                                                                  \
  cublasStatus_t cublas##P##gemm(cublasHandle_t handle, cublasOperation_t op_a, cublasOperation_t op_b, int m,      \
                                 int n, int k, const T* alpha, const T* a, int lda, const T* b, int ldb,            \
                                 const T* beta, T* c, int ldc) {                                                    \
    RequireOwn(handle, a, b, c);                                                                                    \
    Prepare(*beta, m, n, c, ldc);                                                                                   \
    cblas_##p##gemm(CblasColMajor, Transpose(op_a), Transpose(op_b), m, n, k, *alpha, a, lda, b, ldb, *beta, c,     \
                    ldc);                                                                                           \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##gemmStridedBatched(cublasHandle_t handle, cublasOperation_t op_a,                       \
                                               cublasOperation_t op_b, int m, int n, int k, const T* alpha,         \
                                               const T* a, int lda, long long step_a, const T* b, int ldb,          \
                                               long long step_b, const T* beta, T* c, int ldc, long long step_c,    \
                                               int batch) {                                                         \
    for (int i = 0; i < batch; ++i) {                                                                               \
      cublas##P##gemm(handle, op_a, op_b, m, n, k, alpha, a + i * step_a, lda, b + i * step_b, ldb, beta,           \
                      c + i * step_c, ldc);                                                                         \
    }                                                                                                               \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##gemv(cublasHandle_t handle, cublasOperation_t op, int m, int n, const T* alpha,         \
                                 const T* a, int lda, const T* x, int incx, const T* beta, T* y, int incy) {        \
    RequireOwn(handle, a, x, y);                                                                                    \
    Prepare(*beta, 1, op == CUBLAS_OP_N ? m : n, y, incy);                                                          \
    cblas_##p##gemv(CblasColMajor, Transpose(op), m, n, *alpha, a, lda, x, incx, *beta, y, incy);                   \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##axpy(cublasHandle_t handle, int n, const T* alpha, const T* x, int incx, T* y,          \
                                 int incy) {                                                                        \
    RequireOwn(handle, x, y);                                                                                       \
    cblas_##p##axpy(n, *alpha, x, incx, y, incy);                                                                   \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##scal(cublasHandle_t handle, int n, const T* alpha, T* x, int incx) {                    \
    RequireOwn(handle, x);                                                                                          \
    cblas_##p##scal(n, *alpha, x, incx);                                                                            \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##copy(cublasHandle_t handle, int n, const T* x, int incx, T* y, int incy) {              \
    RequireOwn(handle, x, y);                                                                                       \
    cblas_##p##copy(n, x, incx, y, incy);                                                                           \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##dot(cublasHandle_t handle, int n, const T* x, int incx, const T* y, int incy,           \
                                T* result) {                                                                        \
    RequireOwn(handle, x, y);                                                                                       \
    emulation::CountWait();                                                                                         \
    *result = cblas_##p##dot(n, x, incx, y, incy);                                                                  \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }                                                                                                                 \
  cublasStatus_t cublas##P##asum(cublasHandle_t handle, int n, const T* x, int incx, T* result) {                   \
    RequireOwn(handle, x);                                                                                          \
    emulation::CountWait();                                                                                         \
    *result = cblas_##p##asum(n, x, incx);                                                                          \
    return CUBLAS_STATUS_SUCCESS;                                                                                   \
  }
CAFFE_ACU_EMULATE(S, s, float)
CAFFE_ACU_EMULATE(D, d, double)

}  // extern "C"
