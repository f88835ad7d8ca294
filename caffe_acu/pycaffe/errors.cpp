#include "caffe_acu/pycaffe/errors.hpp"

#include <boost/python.hpp>
#include <new>

#include "caffe_acu/util/error.hpp"

namespace caffe {
namespace {

namespace bp = boost::python;

constexpr const char* kDocumentation =
    "What Caffe refuses: a check that failed, a file that is damaged, a prototxt that makes no sense.\n\n"
    "Its text is one line. Attributes: message, what is wrong; layer, the name of the layer, prototxt, the file and\n"
    "line that describe it, each empty where it is not known; file and line, the place in Caffe's sources; stack,\n"
    "lines of text, with CAFFE_ACU_STACK_TRACE in the environment, else empty.";

PyObject* error_class = nullptr;

void Translate(const Error& error) {
  bp::object instance = bp::object(bp::handle<>(bp::borrowed(error_class)))(error.what());
  instance.attr("message") = error.message();
  instance.attr("layer") = error.layer();
  instance.attr("prototxt") = error.prototxt();
  instance.attr("file") = error.file();
  instance.attr("line") = error.line();
  instance.attr("stack") = error.stack();
  PyErr_SetObject(error_class, instance.ptr());
}

void TranslateOutOfMemory(const std::bad_alloc&) {
  PyErr_SetString(PyExc_MemoryError, "out of memory. A smaller batch_size, crop or image needs less.");
}

}  // namespace

void TranslateErrors() {
  // It was a RuntimeError that Boost.Python made of the few exceptions that pycaffe used to throw.
  error_class = PyErr_NewExceptionWithDoc("caffe.Error", kDocumentation, PyExc_RuntimeError, nullptr);
  bp::scope().attr("Error") = bp::object(bp::handle<>(bp::borrowed(error_class)));
  bp::register_exception_translator<Error>(&Translate);
  bp::register_exception_translator<std::bad_alloc>(&TranslateOutOfMemory);
}

}  // namespace caffe
