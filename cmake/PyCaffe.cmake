# pycaffe, as an importable folder in the build tree: ${PYTHON_DIR}/caffe.
# The module is a plain extension: it is not linked with libpython, whose symbols the interpreter has.

file(GLOB PYCAFFE_FILES RELATIVE "${CAFFE_TREE}/python" "${CAFFE_TREE}/python/caffe/*.py"
  "${CAFFE_TREE}/python/caffe/imagenet/*.npy" "${CAFFE_TREE}/python/caffe/test/*.py")
foreach(name IN LISTS PYCAFFE_FILES)
  configure_file("${CAFFE_TREE}/python/${name}" "${PYTHON_DIR}/${name}" COPYONLY)
endforeach()

Python_add_library(pycaffe MODULE "${CAFFE_TREE}/python/caffe/_caffe.cpp"
  "${PROJECT_SOURCE_DIR}/caffe_acu/pycaffe/errors.cpp" "${PROJECT_SOURCE_DIR}/caffe_acu/pycaffe/python_layer.cpp")
target_compile_definitions(pycaffe PRIVATE CAFFE_VERSION=1.0.0)
target_compile_options(pycaffe PRIVATE -w)
target_link_libraries(pycaffe PRIVATE caffe Boost::${_boost_python} Python::NumPy)
set_target_properties(pycaffe PROPERTIES OUTPUT_NAME _caffe PREFIX "" SUFFIX ".so"
  LIBRARY_OUTPUT_DIRECTORY "${PYTHON_DIR}/caffe")

# The part of `caffe-acu train` that is Caffe's side of a process among others.
Python_add_library(pycaffe_peers MODULE "${PROJECT_SOURCE_DIR}/caffe_acu/pycaffe/peers.cpp")
target_include_directories(pycaffe_peers PRIVATE "${PROJECT_SOURCE_DIR}")
target_compile_options(pycaffe_peers PRIVATE -Wall -Wextra)
target_link_libraries(pycaffe_peers PRIVATE caffe Boost::${_boost_python} Python::NumPy)
set_target_properties(pycaffe_peers PROPERTIES OUTPUT_NAME _peers PREFIX "" SUFFIX ".so"
  LIBRARY_OUTPUT_DIRECTORY "${PYTHON_DIR}/caffe")
