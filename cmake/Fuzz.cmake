# fuzz_caffe: libFuzzer around what reads files that people download; scripts/fuzz.sh builds and runs it.
# A build with Clang and CAFFE_ACU_SANITIZE="fuzzer-no-link;address;undefined".

file(GLOB _fuzz_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/caffe_acu/fuzz/*.cpp"
  "${PROJECT_SOURCE_DIR}/caffe_acu/fuzz/libfuzzer/*.cpp")
# Of libcaffe's objects, not its library, so that the linker can give Caffe a malloc with a limit.
add_executable(fuzz_caffe ${_fuzz_sources} $<TARGET_OBJECTS:caffe> $<TARGET_OBJECTS:caffe_proto>)
add_dependencies(fuzz_caffe caffe_proto)
target_include_directories(fuzz_caffe PRIVATE "${PROJECT_SOURCE_DIR}")
target_include_directories(fuzz_caffe SYSTEM PRIVATE ${CAFFE_INCLUDE_DIRS})
target_compile_definitions(fuzz_caffe PRIVATE ${CAFFE_DEFINITIONS})
target_compile_options(fuzz_caffe PRIVATE -Wall -Wextra)
target_link_libraries(fuzz_caffe PRIVATE caffe_dependencies)
target_link_options(fuzz_caffe PRIVATE -fsanitize=fuzzer LINKER:--wrap=malloc)
