// Precompiled for libcaffe and the tests: what nearly every file of Caffe includes. Without it the
// build takes about twice as long.
#include <boost/shared_ptr.hpp>
#include <boost/thread.hpp>
#include <gflags/gflags.h>
#include <glog/logging.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "caffe/proto/caffe.pb.h"
