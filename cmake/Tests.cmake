# Upstream's test suite and ours, as two executables with upstream's own gtest. Both are run from the
# root of the Caffe tree, where upstream's tests find their data.

add_library(caffe_gtest STATIC "${CAFFE_TREE}/src/gtest/gtest-all.cpp")
target_include_directories(caffe_gtest SYSTEM PUBLIC "${CAFFE_TREE}/src")
target_compile_definitions(caffe_gtest PUBLIC GTEST_USE_OWN_TR1_TUPLE=1)
target_compile_options(caffe_gtest PRIVATE -w)
target_link_libraries(caffe_gtest PUBLIC Threads::Threads)

function(caffe_acu_add_tests name)
  add_executable(${name} ${ARGN} "${PROJECT_SOURCE_DIR}/caffe_acu/tests/main.cpp")
  target_link_libraries(${name} PRIVATE caffe caffe_gtest)
  # The time goes into compiling templates, hardly into running them.
  target_compile_options(${name} PRIVATE -O1)
  # Where other threads live, a test of how the program ends has to run in a process of its own, not in a fork.
  add_test(NAME ${name} COMMAND ${name} --gtest_death_test_style=threadsafe WORKING_DIRECTORY "${CAFFE_TREE}")
endfunction()

file(GLOB ACU_TESTS CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/caffe_acu/tests/test_*.cpp"
  "${PROJECT_SOURCE_DIR}/caffe_acu/fuzz/*.cpp")
caffe_acu_add_tests(acu_tests ${ACU_TESTS})
target_compile_options(acu_tests PRIVATE -Wall -Wextra)
set_tests_properties(acu_tests PROPERTIES
  ENVIRONMENT "CAFFE_ACU_FUZZ_REGRESSIONS=${PROJECT_SOURCE_DIR}/caffe_acu/fuzz/regressions")
target_precompile_headers(acu_tests PRIVATE cmake/caffe_pch.hpp cmake/tests_pch.hpp)
# The kernels for lesser processors than this one.
foreach(level baseline x86-64-v3)
  add_test(NAME acu_tests_${level}
    COMMAND acu_tests --gtest_filter=*ACULayerTest*:*FastLayers* WORKING_DIRECTORY "${CAFFE_TREE}")
  set_tests_properties(acu_tests_${level} PROPERTIES ENVIRONMENT CAFFE_ACU_PROCESSOR=${level} TIMEOUT 300)
endforeach()

if(CAFFE_ACU_UPSTREAM_TESTS)
  file(GLOB UPSTREAM_TESTS "${CAFFE_TREE}/src/caffe/test/test_*.cpp")
  list(FILTER UPSTREAM_TESTS EXCLUDE REGEX "test_caffe_main.cpp$")
  caffe_acu_add_tests(caffe_tests ${UPSTREAM_TESTS})
  target_compile_options(caffe_tests PRIVATE -w)
  target_precompile_headers(caffe_tests REUSE_FROM acu_tests)
endif()

set(times_layers --net=${PROJECT_SOURCE_DIR}/caffe_acu/tests/layer_times.prototxt --repetitions=2 --head_start=0)
add_test(NAME layer_times COMMAND tool_layer_times ${times_layers})
set_tests_properties(layer_times PROPERTIES PASS_REGULAR_EXPRESSION "\"layer\": \"convolution\"")

if(CAFFE_ACU_CUDA)
  include(cmake/Emulation.cmake)
  caffe_acu_emulate_tests(acu_tests)
  # The GPU's part only; the CPU's is in acu_tests. One long training is enough.
  add_test(NAME acu_tests_gpu COMMAND acu_tests_emulated
    --gtest_filter=*/2.*:*/3.*:*GPU*-*AStudentRecoversADifferentShape* --gtest_death_test_style=threadsafe
    WORKING_DIRECTORY "${CAFFE_TREE}")
  # Threads in another order, where a missing barrier would show, and a workspace that cuts batches into chunks.
  add_test(NAME acu_tests_gpu_reverse COMMAND acu_tests_emulated
    --gtest_filter=*OnTheGPUAgree*:*TheGPUAgrees*:*ACULayerTest/3.*-*Finite* WORKING_DIRECTORY "${CAFFE_TREE}")
  set_tests_properties(acu_tests_gpu_reverse PROPERTIES
    ENVIRONMENT "CAFFE_ACU_EMULATION_ORDER=reverse;CAFFE_ACU_WORKSPACE_MIB=1")
  # Programs; of caffe, python/tests/test_several_gpus.py tests how a training ends.
  foreach(tool caffe layer_times)
    add_executable(${tool}_on_emulation $<TARGET_OBJECTS:tool_${tool}>)
    set_target_properties(${tool}_on_emulation PROPERTIES OUTPUT_NAME ${tool}_emulated)
    target_link_libraries(${tool}_on_emulation PRIVATE caffe_emulated)
  endforeach()
  add_test(NAME layer_times_gpu COMMAND layer_times_on_emulation --gpu=0 ${times_layers})
  set_tests_properties(layer_times_gpu PROPERTIES PASS_REGULAR_EXPRESSION "\"layer\": \"convolution\"")
  if(CAFFE_ACU_UPSTREAM_TESTS)
    caffe_acu_emulate_tests(caffe_tests)
    set_target_properties(caffe_tests_emulated PROPERTIES EXCLUDE_FROM_ALL ON)
  endif()
endif()
