#ifndef CAFFE_ACU_CUDNN_HANDLE_HPP_
#define CAFFE_ACU_CUDNN_HANDLE_HPP_

#ifdef USE_CUDNN
#include <cudnn.h>

namespace caffe {

/// The calling thread's handle of cuDNN for the current GPU, on the default stream. Made when it is first asked
/// for, and shared by all layers there: each takes memory of the GPU.
cudnnHandle_t CudnnHandle();

}  // namespace caffe
#endif

#endif  // CAFFE_ACU_CUDNN_HANDLE_HPP_
