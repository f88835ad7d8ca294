// Precompiled for the tests, in addition to caffe_pch.hpp.
#include "caffe/caffe.hpp"
#include "gtest/gtest.h"
