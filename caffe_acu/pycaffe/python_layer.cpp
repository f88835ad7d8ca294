// Registers Caffe's layer type "Python" when pycaffe is imported. Upstream compiles it into libcaffe,
// which then cannot be linked without libpython; here only the Python module knows Python.
#include <boost/python.hpp>

#include "caffe/layer_factory.hpp"
#include "caffe/layers/python_layer.hpp"

namespace caffe {
namespace {

template <typename Dtype>
shared_ptr<Layer<Dtype>> CreatePythonLayer(const LayerParameter& param) {
  const PythonParameter& python = param.python_param();
  try {
    bp::object layer_class = bp::import(python.module().c_str()).attr(python.layer().c_str());
    bp::object layer = layer_class(param);
    return bp::extract<shared_ptr<PythonLayer<Dtype>>>(layer)();
  } catch (const bp::error_already_set&) {
    PyErr_Print();
    throw;
  }
}

REGISTER_LAYER_CREATOR(Python, CreatePythonLayer);

}  // namespace
}  // namespace caffe
