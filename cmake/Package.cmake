# What `cmake --install` and the target `package` make: a folder that runs wherever it is put (docs/package.md).

# Installed files find each other by paths relative to themselves; /usr/local is no place for such a folder.
if(CMAKE_INSTALL_PREFIX_INITIALIZED_TO_DEFAULT)
  set(CMAKE_INSTALL_PREFIX "${CMAKE_BINARY_DIR}/package" CACHE PATH "Where the relocatable folder goes" FORCE)
endif()
set(SHARE share/caffe-acu)
set(PACKAGE_DIR "${CMAKE_CURRENT_LIST_DIR}/package")

# ---- What we compile
add_library(caffe_acu_absent SHARED "${PACKAGE_DIR}/absent.c")
target_link_options(caffe_acu_absent PRIVATE "LINKER:--version-script,${PACKAGE_DIR}/absent.map" -nostdlib)
set_target_properties(caffe_acu_absent PROPERTIES LINK_DEPENDS "${PACKAGE_DIR}/absent.map")
install(TARGETS caffe_acu_absent LIBRARY DESTINATION lib)

set_target_properties(caffe PROPERTIES INSTALL_RPATH "$ORIGIN")
install(TARGETS caffe LIBRARY DESTINATION lib NAMELINK_SKIP)

set(PROGRAMS ${CAFFE_TOOLS})
set(PROGRAM_TARGETS ${CAFFE_TOOLS})
list(TRANSFORM PROGRAM_TARGETS PREPEND tool_)
if(CAFFE_ACU_TESTS)
  foreach(program IN ITEMS acu_tests caffe_tests)
    if(TARGET ${program})
      list(APPEND PROGRAMS ${program})
      list(APPEND PROGRAM_TARGETS ${program})
    endif()
  endforeach()
  install(DIRECTORY "${CAFFE_TREE}/src/caffe/test/test_data" DESTINATION ${SHARE}/tests/src/caffe/test)
  install(DIRECTORY "${CAFFE_TREE}/examples/images" DESTINATION ${SHARE}/tests/examples)
endif()
set_target_properties(${PROGRAM_TARGETS} PROPERTIES INSTALL_RPATH "$ORIGIN/../lib")
install(TARGETS ${PROGRAM_TARGETS} RUNTIME DESTINATION libexec)

set(CUDA_WHEELS "")
set(GPU_SUMMARY "CPU only")
if(CAFFE_ACU_CUDA)
  set(GPU_SUMMARY "${CUDA_SUMMARY}")
  set(CUDA_WHEELS "nvidia-cudnn-cu${CUDA_MAJOR} nvidia-nccl-cu${CUDA_MAJOR}")
  foreach(name IN ITEMS cuda-runtime cublas curand)
    # From CUDA 13 on, the names carry no version.
    if(CUDA_MAJOR LESS 13)
      string(PREPEND CUDA_WHEELS "nvidia-${name}-cu${CUDA_MAJOR} ")
    elseif(name STREQUAL curand)
      string(PREPEND CUDA_WHEELS "nvidia-curand ")
    else()
      string(PREPEND CUDA_WHEELS "'nvidia-${name}==${CUDA_MAJOR}.*' ")
    endif()
  endforeach()
endif()
configure_file("${PACKAGE_DIR}/run.sh.in" "${CMAKE_BINARY_DIR}/run.sh" @ONLY)
foreach(program IN LISTS PROGRAMS ITEMS caffe-acu-env)
  install(PROGRAMS "${CMAKE_BINARY_DIR}/run.sh" DESTINATION bin RENAME ${program})
endforeach()

set(PACKAGED_MODULES "")
if(CAFFE_ACU_PYTHON)
  set(modules pycaffe pycaffe_peers)
  set_target_properties(${modules} PROPERTIES INSTALL_RPATH "$ORIGIN/../../lib")
  install(TARGETS ${modules} LIBRARY DESTINATION python/caffe)
  install(DIRECTORY "${PYTHON_DIR}/caffe" DESTINATION python
    PATTERN "_*.so" EXCLUDE PATTERN test EXCLUDE PATTERN __pycache__ EXCLUDE)
  list(TRANSFORM modules REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE PACKAGED_MODULES)
endif()

# ---- What is only copied
install(DIRECTORY models DESTINATION ${SHARE} FILES_MATCHING PATTERN "*.prototxt" PATTERN "*.md")
install(FILES "${PROTO_FILE}" DESTINATION ${SHARE}/proto)
install(FILES LICENSE README.md DESTINATION share/doc/caffe-acu)
install(FILES "${CAFFE_TREE}/LICENSE" DESTINATION share/doc/caffe)
install(FILES docs/package.md DESTINATION . RENAME README.md)

# ---- The libraries that all this needs, and what tells where it comes from
find_program(PATCHELF_PROGRAM patchelf)
file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/package-options.txt" CONTENT
"caffe-acu @PROJECT_VERSION@, BVLC Caffe @CAFFE_COMMIT@
@GPU_SUMMARY@
@CMAKE_BUILD_TYPE@, @CMAKE_CXX_COMPILER_ID@ @CMAKE_CXX_COMPILER_VERSION@, Python @Python_VERSION@
")
set(PROGRAM_FILES ${PROGRAM_TARGETS})
list(TRANSFORM PROGRAM_FILES REPLACE "(.+)" "$<TARGET_FILE:\\1>")
install(CODE "
set(PROGRAM_FILES \"${PROGRAM_FILES}\")
set(MODULE_FILES \"${PACKAGED_MODULES}\")
set(LIBRARY_FILES \"$<TARGET_FILE:caffe>\")
set(OPTIONS_FILE \"${CMAKE_BINARY_DIR}/package-options.txt\")
set(SOURCE_DIR \"${PROJECT_SOURCE_DIR}\")
set(PATCHELF \"${PATCHELF_PROGRAM}\")")
install(SCRIPT "${PACKAGE_DIR}/install_libraries.cmake")

# ---- The tarball
if(CAFFE_ACU_CUDA)
  set(_flavour cuda${CUDA_MAJOR})
else()
  set(_flavour cpu)
endif()
set(CPACK_GENERATOR TXZ)
set(CPACK_PACKAGE_FILE_NAME "caffe-acu-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR}-${_flavour}")
set(CPACK_STRIP_FILES ON)
set(CPACK_THREADS 0)
include(CPack)
