# Builds that look for mistakes while they run: CAFFE_ACU_SANITIZE is a list of what the compiler's -fsanitize takes,
# "address;undefined" or "thread" say, for everything that is compiled here. What is reported ends the program.

set(CAFFE_ACU_SANITIZE "" CACHE STRING "Sanitizers to compile with, e.g. address;undefined or thread (GCC or Clang)")
if(CAFFE_ACU_SANITIZE)
  list(JOIN CAFFE_ACU_SANITIZE "," _sanitizers)
  set(_recover -fno-sanitize-recover=all)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND "undefined" IN_LIST CAFFE_ACU_SANITIZE)
    set(_recover "")  # UBSAN_OPTIONS=halt_on_error=1 does it too, and without that all that is undefined is listed
  endif()
  # After the options of the build type, so that this is what holds: code that is quick to compile and whose frames
  # and lines a report can name.
  add_compile_options(-fsanitize=${_sanitizers} ${_recover} -fno-omit-frame-pointer -O1 -g1)
  add_link_options(-fsanitize=${_sanitizers})
  if(CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    # Without times in it, a precompiled header is the same wherever it is made, and ccache can tell.
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp" -Wno-pass-failed)
  endif()
  if(CAFFE_ACU_PYTHON AND CMAKE_CXX_COMPILER_ID STREQUAL Clang)
    message(FATAL_ERROR "CAFFE_ACU_SANITIZE goes with -DCAFFE_ACU_PYTHON=OFF: Python itself has no sanitizer in it, "
      "and GCC's library alone can be loaded before it.")
  endif()
endif()
