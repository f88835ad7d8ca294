#ifndef CAFFE_ACU_PYCAFFE_ERRORS_HPP_
#define CAFFE_ACU_PYCAFFE_ERRORS_HPP_

namespace caffe {

/// Makes the Python class Error in the module that is being initialised, and lets caffe::Error arrive as one.
void TranslateErrors();

}  // namespace caffe

#endif  // CAFFE_ACU_PYCAFFE_ERRORS_HPP_
