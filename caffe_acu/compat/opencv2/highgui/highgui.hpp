// Caffe asks for OpenCV's window module, of which it uses nothing but image files and one flag that
// OpenCV 4 renamed. This header gives it those, so that no build drags in a GUI toolkit.
#ifndef CAFFE_ACU_COMPAT_HIGHGUI_HPP_
#define CAFFE_ACU_COMPAT_HIGHGUI_HPP_

#include <opencv2/imgcodecs.hpp>

#define CV_LOAD_IMAGE_COLOR cv::IMREAD_COLOR
#define CV_LOAD_IMAGE_GRAYSCALE cv::IMREAD_GRAYSCALE

#endif  // CAFFE_ACU_COMPAT_HIGHGUI_HPP_
