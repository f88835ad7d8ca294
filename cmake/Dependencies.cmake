# What the build links with, as imported targets gathered in one interface target, caffe_dependencies.

find_package(Threads REQUIRED)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module NumPy)
set(_boost_python "python${Python_VERSION_MAJOR}${Python_VERSION_MINOR}")
find_package(Boost 1.74 REQUIRED COMPONENTS system thread filesystem ${_boost_python})
find_package(Protobuf 3.18 REQUIRED)
find_package(HDF5 REQUIRED COMPONENTS C HL)
find_package(TBB REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(GLOG REQUIRED IMPORTED_TARGET libglog)
pkg_check_modules(GFLAGS REQUIRED IMPORTED_TARGET gflags)
pkg_check_modules(LMDB REQUIRED IMPORTED_TARGET lmdb)
pkg_check_modules(BLAS REQUIRED IMPORTED_TARGET openblas)

# OpenCV's own CMake config comes only with the package of all its modules; we need three.
find_path(OPENCV_INCLUDE_DIR opencv2/imgcodecs.hpp PATH_SUFFIXES opencv4 REQUIRED)
foreach(module core imgproc imgcodecs)
  find_library(OPENCV_${module} opencv_${module} REQUIRED)
  list(APPEND OPENCV_LIBRARIES "${OPENCV_${module}}")
endforeach()

# All but CUDA's, which the emulation of a GPU does without.
add_library(caffe_host_dependencies INTERFACE)
target_link_libraries(caffe_host_dependencies INTERFACE
  Boost::system Boost::thread Boost::filesystem
  protobuf::libprotobuf PkgConfig::GLOG PkgConfig::GFLAGS PkgConfig::LMDB PkgConfig::BLAS
  ${HDF5_HL_LIBRARIES} ${HDF5_LIBRARIES} ${OPENCV_LIBRARIES}
  TBB::tbb Threads::Threads)
target_include_directories(caffe_host_dependencies SYSTEM INTERFACE ${OPENCV_INCLUDE_DIR} ${HDF5_INCLUDE_DIRS})
# Caffe switches features by macros.
target_compile_definitions(caffe_host_dependencies INTERFACE
  USE_OPENCV USE_LMDB USE_HDF5 BOOST_BIND_GLOBAL_PLACEHOLDERS)

add_library(caffe_dependencies INTERFACE)
target_link_libraries(caffe_dependencies INTERFACE caffe_host_dependencies)
if(CAFFE_ACU_CUDA)
  target_link_libraries(caffe_dependencies INTERFACE caffe_cuda_dependencies)
else()
  target_compile_definitions(caffe_dependencies INTERFACE CPU_ONLY)
endif()
