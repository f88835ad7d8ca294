# CUDA: the compiler, and the libraries as imported targets gathered in caffe_cuda_dependencies.
#
# The compiler is CMAKE_CUDA_COMPILER, or nvcc on the PATH, or of a system toolkit, or of the Python package
# nvidia-cuda-nvcc. Headers and libraries are looked for in the toolkit and in the nvidia-* packages of the
# Python environment that Python_EXECUTABLE names; those carry versioned libraries only, so everything is
# linked by its full path.

find_package(Python 3.11 REQUIRED COMPONENTS Interpreter)
file(GLOB _wheel_roots "${Python_SITEARCH}/nvidia/*")
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  set(_wheel_bins ${_wheel_roots})
  list(TRANSFORM _wheel_bins APPEND /bin)
  find_program(NVCC_PROGRAM nvcc HINTS ENV CUDA_HOME ENV CUDA_PATH PATHS /usr/local/cuda/bin ${_wheel_bins}
    PATH_SUFFIXES bin)
  if(NOT NVCC_PROGRAM)
    message(FATAL_ERROR "CAFFE_ACU_CUDA=ON, but there is no nvcc. Put a toolkit's nvcc on the PATH, name it in "
      "CMAKE_CUDA_COMPILER, or let `scripts/setup.sh --cuda` fetch one.")
  endif()
  set(CMAKE_CUDA_COMPILER "${NVCC_PROGRAM}")
endif()

# The toolkit's version decides which GPUs can be named, and CMake wants them before it looks at the compiler.
if(NOT CMAKE_CUDA_ARCHITECTURES)
  execute_process(COMMAND "${CMAKE_CUDA_COMPILER}" --version OUTPUT_VARIABLE _version)
  string(REGEX MATCH "release ([0-9.]+)" _ "${_version}")
  set(_architectures 75-real 80-real 86-real 89-real)
  if(CMAKE_MATCH_1 VERSION_GREATER_EQUAL 12.8)
    list(APPEND _architectures 90-real 100-real 120)
  else()
    list(APPEND _architectures 90)
  endif()
  set(CMAKE_CUDA_ARCHITECTURES "${_architectures}" CACHE STRING "GPUs to compile for; the last also as PTX")
endif()
# cudart is shared with cuBLAS and NCCL, and linked like them below.
set(CMAKE_CUDA_RUNTIME_LIBRARY None)
if(CCACHE_PROGRAM)
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${CCACHE_PROGRAM}")
endif()
get_filename_component(_bin "${CMAKE_CUDA_COMPILER}" REALPATH)
get_filename_component(_bin "${_bin}" DIRECTORY)
get_filename_component(_toolkit "${_bin}" DIRECTORY)
# The Python packages have their libraries in lib, where nvcc looks in lib64 when CMake tries it.
if(EXISTS "${_toolkit}/lib/libcudadevrt.a" AND NOT EXISTS "${_toolkit}/lib64")
  set(CMAKE_CUDA_FLAGS_INIT "-L${_toolkit}/lib")
endif()
enable_language(CUDA)
set(CMAKE_CUDA_STANDARD 17)
set(CMAKE_CUDA_STANDARD_REQUIRED ON)
if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.4)
  message(FATAL_ERROR "${CMAKE_CUDA_COMPILER} is CUDA ${CMAKE_CUDA_COMPILER_VERSION}; 12.4 or later is needed.")
endif()
string(REGEX MATCH "^[0-9]+" CUDA_MAJOR "${CMAKE_CUDA_COMPILER_VERSION}")

set(_roots "${_toolkit}" ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES} /usr/local/cuda ${_wheel_roots})
set(_suffixes include lib64 lib targets/x86_64-linux/include targets/x86_64-linux/lib)

add_library(caffe_cuda_dependencies INTERFACE)

#   caffe_acu_cuda_library(<name> <header> <versions...>)
# Adds lib<name>.so, or failing that one of its versions, to the dependencies; sets CUDA_<name>_FOUND.
function(caffe_acu_cuda_library name header)
  find_path(CUDA_${name}_INCLUDE ${header} HINTS ${_roots} PATH_SUFFIXES ${_suffixes})
  set(names "")
  foreach(version IN LISTS ARGN)
    list(APPEND names "lib${name}.so.${version}")
  endforeach()
  find_library(CUDA_${name}_LIBRARY NAMES ${names} lib${name}.so HINTS ${_roots} PATH_SUFFIXES ${_suffixes})
  mark_as_advanced(CUDA_${name}_INCLUDE CUDA_${name}_LIBRARY)
  if(CUDA_${name}_INCLUDE AND CUDA_${name}_LIBRARY)
    target_include_directories(caffe_cuda_dependencies SYSTEM INTERFACE "${CUDA_${name}_INCLUDE}")
    target_link_libraries(caffe_cuda_dependencies INTERFACE "${CUDA_${name}_LIBRARY}")
    # What these libraries need in turn lies beside them.
    get_filename_component(folder "${CUDA_${name}_LIBRARY}" DIRECTORY)
    target_link_options(caffe_cuda_dependencies INTERFACE "LINKER:-rpath-link,${folder}")
    set(CUDA_${name}_FOUND ON PARENT_SCOPE)
  else()
    set(CUDA_${name}_FOUND OFF PARENT_SCOPE)
  endif()
endfunction()

caffe_acu_cuda_library(cudart cuda_runtime.h ${CUDA_MAJOR})
caffe_acu_cuda_library(cublas cublas_v2.h ${CUDA_MAJOR})
caffe_acu_cuda_library(curand curand.h 10)
set(_cudnn_versions 9)
set(_nccl_versions 2)
foreach(library IN ITEMS cudart cublas curand)
  if(NOT CUDA_${library}_FOUND)
    message(FATAL_ERROR "CAFFE_ACU_CUDA=ON, but lib${library} or its headers were found neither beside "
      "${CMAKE_CUDA_COMPILER} nor in ${Python_SITEARCH}/nvidia. Install the toolkit's development packages, or "
      "run `scripts/setup.sh --cuda`, which fetches the libraries.")
  endif()
endforeach()

set(CUDA_SUMMARY "CUDA ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
foreach(library IN ITEMS cudnn nccl)
  string(TOUPPER "USE_${library}" option)
  option(${option} "Build with ${library}" ON)
  if(NOT ${option})
    string(APPEND CUDA_SUMMARY ", no ${library}")
    continue()
  endif()
  caffe_acu_cuda_library(${library} ${library}.h ${_${library}_versions})
  if(NOT CUDA_${library}_FOUND)
    message(FATAL_ERROR "${option}=ON, but lib${library}.so.${_${library}_versions} and ${library}.h were not found. "
      "Run `scripts/setup.sh --cuda`, which fetches them, or build with -D${option}=OFF.")
  endif()
  target_compile_definitions(caffe_cuda_dependencies INTERFACE ${option})
  string(APPEND CUDA_SUMMARY ", ${library}")
endforeach()
