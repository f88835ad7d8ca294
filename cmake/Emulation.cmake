# libcaffe_emulated: libcaffe with its kernels run on the CPU, for tests on machines without a GPU; see
# caffe_acu/emulation/README.md.

find_package(Boost 1.74 REQUIRED COMPONENTS context)

set(_rewrite "${PROJECT_SOURCE_DIR}/caffe_acu/emulation/rewrite_launches.py")

#   caffe_acu_emulate(<out-list> <CUDA sources...>)
# The sources as C++ in the build tree.
function(caffe_acu_emulate out)
  set(results "")
  foreach(source IN LISTS ARGN)
    file(RELATIVE_PATH name "${CMAKE_BINARY_DIR}/.." "${source}")
    string(MAKE_C_IDENTIFIER "${name}" name)
    set(result "${CMAKE_BINARY_DIR}/emulated/${name}.cpp")
    add_custom_command(OUTPUT "${result}" COMMAND Python::Interpreter "${_rewrite}" "${source}" "${result}"
      DEPENDS "${source}" "${_rewrite}" COMMENT "" VERBATIM)
    list(APPEND results "${result}")
  endforeach()
  set(${out} "${results}" PARENT_SCOPE)
endfunction()
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/emulated")

caffe_acu_emulate(EMULATED_KERNELS ${CAFFE_KERNELS} ${ACU_KERNELS_CUDA})
# Upstream defines some kernels by a macro of this header, the launch included.
set(_header caffe/util/math_functions.hpp)
set(_emulated_header "${CMAKE_BINARY_DIR}/emulated/include/${_header}")
file(MAKE_DIRECTORY "${CMAKE_BINARY_DIR}/emulated/include/caffe/util")
add_custom_command(OUTPUT "${_emulated_header}" COMMAND Python::Interpreter
    "${_rewrite}" "${CAFFE_TREE}/include/${_header}" "${_emulated_header}"
  DEPENDS "${CAFFE_TREE}/include/${_header}" "${_rewrite}" COMMENT "" VERBATIM)
add_library(caffe_emulated_kernels OBJECT ${EMULATED_KERNELS} "${_emulated_header}")
target_include_directories(caffe_emulated_kernels BEFORE PRIVATE "${CMAKE_BINARY_DIR}/emulated/include")
add_dependencies(caffe_emulated_kernels caffe_proto)
target_include_directories(caffe_emulated_kernels PRIVATE "${PROJECT_SOURCE_DIR}")
target_include_directories(caffe_emulated_kernels SYSTEM PRIVATE ${CAFFE_INCLUDE_DIRS})
target_compile_definitions(caffe_emulated_kernels PRIVATE ${CAFFE_DEFINITIONS})
target_link_libraries(caffe_emulated_kernels PRIVATE caffe_dependencies)
target_compile_options(caffe_emulated_kernels PRIVATE -O1 -w)
target_precompile_headers(caffe_emulated_kernels PRIVATE caffe_acu/emulation/device.hpp cmake/caffe_pch.hpp
  <caffe/caffe.hpp>)

set(_emulation "${PROJECT_SOURCE_DIR}/caffe_acu/emulation")
add_library(caffe_emulated SHARED $<TARGET_OBJECTS:caffe> $<TARGET_OBJECTS:caffe_proto>
  $<TARGET_OBJECTS:caffe_emulated_kernels>
  "${_emulation}/runtime.cpp" "${_emulation}/blas.cpp" "${_emulation}/rand.cpp" "${_emulation}/scheduler.cpp"
  $<$<BOOL:${USE_NCCL}>:${_emulation}/nccl.cpp>)
target_include_directories(caffe_emulated PUBLIC "${PROJECT_SOURCE_DIR}")
target_include_directories(caffe_emulated SYSTEM PUBLIC ${CAFFE_INCLUDE_DIRS}
  $<TARGET_PROPERTY:caffe_cuda_dependencies,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(caffe_emulated PUBLIC ${CAFFE_DEFINITIONS}
  $<TARGET_PROPERTY:caffe_cuda_dependencies,INTERFACE_COMPILE_DEFINITIONS>)
target_compile_options(caffe_emulated PRIVATE -Wall -Wextra)
# Everything but libcudart, cuBLAS, cuRAND and NCCL; and no symbol of theirs may stay open.
target_link_libraries(caffe_emulated PUBLIC caffe_host_dependencies ${CUDA_cudnn_LIBRARY}
  PRIVATE Boost::context -Wl,--no-undefined)

add_executable(emulation_tests "${_emulation}/test_emulation.cpp" "${_emulation}/test_several_devices.cpp"
  "${_emulation}/runtime.cpp" "${_emulation}/scheduler.cpp" $<$<BOOL:${USE_NCCL}>:${_emulation}/nccl.cpp>
  "${CAFFE_TREE}/src/gtest/gtest_main.cc")
target_include_directories(emulation_tests PRIVATE "${PROJECT_SOURCE_DIR}")
target_include_directories(emulation_tests SYSTEM PRIVATE
  $<TARGET_PROPERTY:caffe_cuda_dependencies,INTERFACE_INCLUDE_DIRECTORIES>)
target_compile_definitions(emulation_tests PRIVATE
  $<TARGET_PROPERTY:caffe_cuda_dependencies,INTERFACE_COMPILE_DEFINITIONS>)
target_compile_options(emulation_tests PRIVATE -Wall -Wextra)
target_link_libraries(emulation_tests PRIVATE caffe_gtest Boost::context)
add_test(NAME emulation_tests COMMAND emulation_tests)

#   caffe_acu_emulate_tests(<test program>)
# The same objects as those of a test program, with a GPU that is emulated. Its kernels are run.
function(caffe_acu_emulate_tests name)
  add_executable(${name}_emulated $<TARGET_OBJECTS:${name}>)
  target_link_libraries(${name}_emulated PRIVATE caffe_emulated caffe_gtest)
endfunction()
