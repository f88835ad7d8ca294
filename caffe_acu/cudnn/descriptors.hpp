#ifndef CAFFE_ACU_CUDNN_DESCRIPTORS_HPP_
#define CAFFE_ACU_CUDNN_DESCRIPTORS_HPP_

#ifdef USE_CUDNN
#include "caffe/common.hpp"

namespace caffe {

/// One of cuDNN's descriptors, which reads as such. Descriptors are the host's: no GPU is asked.
template <typename Type, cudnnStatus_t (*Create)(Type*), cudnnStatus_t (*Destroy)(Type)>
class CudnnDescriptor {
 public:
  CudnnDescriptor() { CUDNN_CHECK(Create(&descriptor_)); }
  ~CudnnDescriptor() { Destroy(descriptor_); }
  CudnnDescriptor(const CudnnDescriptor&) = delete;
  CudnnDescriptor& operator=(const CudnnDescriptor&) = delete;

  operator Type() const { return descriptor_; }

 private:
  Type descriptor_;
};

using CudnnTensor = CudnnDescriptor<cudnnTensorDescriptor_t, cudnnCreateTensorDescriptor, cudnnDestroyTensorDescriptor>;
using CudnnFilter = CudnnDescriptor<cudnnFilterDescriptor_t, cudnnCreateFilterDescriptor, cudnnDestroyFilterDescriptor>;
using CudnnConvolutionSettings = CudnnDescriptor<cudnnConvolutionDescriptor_t, cudnnCreateConvolutionDescriptor,
                                                 cudnnDestroyConvolutionDescriptor>;

}  // namespace caffe
#endif

#endif  // CAFFE_ACU_CUDNN_DESCRIPTORS_HPP_
