# At the end of the installation: copies the libraries that ours need into lib, lets them find each other there, and
# adds their licences. Needs PROGRAM_FILES, MODULE_FILES, LIBRARY_FILES (of the build tree, whose run paths are
# whole), OPTIONS_FILE, SOURCE_DIR and PATCHELF.

if(NOT PATCHELF)
  message(FATAL_ERROR "patchelf is needed to make a relocatable folder: `apt-get install patchelf` "
    "(`scripts/setup.sh --package` does it), then configure again.")
endif()
set(root "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}")

# Left to the machine: glibc, the driver and CUDA.
set(glibc "^(ld-linux.*|lib(c|m|mvec|dl|rt|pthread|resolv|util|anl|BrokenLocale|nss_.*))\\.so(\\..*)?$")
set(cuda "^lib(cuda|cudart|cublas|cublasLt|curand|cudnn[a-z_]*|nccl|nvrtc|nvJitLink|nvidia-.*)\\.so(\\..*)?$")
# Left out: package/absent.c stands in for them.
set(absent "^lib(gdal|gdcm[A-Za-z]*|GLX|crypto|curl|jbig)\\.so(\\..*)?$")
# OpenBLAS has these in itself.
set(lapack "^lib(blas|lapack)\\.so\\.3$")
# Used only if the machine has none or older ones, because other libraries of a process may need its newer ones.
set(gcc "^lib(stdc\\+\\+|gcc_s)\\.so\\.[0-9]+$")

file(GET_RUNTIME_DEPENDENCIES EXECUTABLES ${PROGRAM_FILES} LIBRARIES ${LIBRARY_FILES} MODULES ${MODULE_FILES}
  PRE_EXCLUDE_REGEXES "${glibc}" "${cuda}" "${absent}" "${lapack}" "^libcaffe\\.so"
  RESOLVED_DEPENDENCIES_VAR libraries CONFLICTING_DEPENDENCIES_PREFIX several)
# The same file can be found by several paths.
foreach(name IN LISTS several_FILENAMES)
  list(GET several_${name} 0 first)
  list(APPEND libraries "${first}")
endforeach()
# oneTBB opens its allocator by itself.
foreach(library IN LISTS libraries)
  if(library MATCHES "^(.*/libtbb)\\.so")
    file(GLOB allocator "${CMAKE_MATCH_1}malloc.so.?")
    list(APPEND libraries ${allocator})
  endif()
endforeach()

# Copies the licence of the Debian package that a file is of, and the licences that are named in it.
function(copy_licence file)
  # Where /lib is a link to /usr/lib, Debian's packages know a file by either name.
  string(REGEX REPLACE "^/usr/lib/" "/lib/" short "${file}")
  execute_process(COMMAND dpkg-query -S "${file}" "${short}"
    OUTPUT_VARIABLE owner ERROR_QUIET)
  string(REGEX REPLACE "[:,].*" "" package "${owner}")
  set(licence "/usr/share/doc/${package}/copyright")
  if(NOT package OR NOT EXISTS "${licence}")
    message(WARNING "No licence found for ${file}: add it before you pass the folder on.")
    return()
  endif()
  file(MAKE_DIRECTORY "${root}/share/doc/${package}")
  file(COPY_FILE "${licence}" "${root}/share/doc/${package}/copyright")
  file(STRINGS "${licence}" lines REGEX "/usr/share/common-licenses/")
  foreach(line IN LISTS lines)
    if(line MATCHES "/usr/share/common-licenses/([A-Za-z]+(-[0-9.]*[0-9])?)" AND EXISTS "${CMAKE_MATCH_0}")
      file(MAKE_DIRECTORY "${root}/share/doc/common-licenses")
      file(COPY_FILE "${CMAKE_MATCH_0}" "${root}/share/doc/common-licenses/${CMAKE_MATCH_1}")
    endif()
  endforeach()
endfunction()

list(SORT libraries)
foreach(library IN LISTS libraries)
  get_filename_component(name "${library}" NAME)
  file(REAL_PATH "${library}" file)
  set(folder "${root}/lib")
  if(name MATCHES "${gcc}")
    string(APPEND folder /gcc)
  endif()
  set(copy "${folder}/${name}")
  message(STATUS "Installing: ${copy}")
  file(MAKE_DIRECTORY "${folder}")
  file(COPY_FILE "${file}" "${copy}")
  execute_process(COMMAND "${PATCHELF}" --print-needed "${copy}" OUTPUT_VARIABLE needed COMMAND_ERROR_IS_FATAL ANY)
  string(REGEX MATCHALL "[^\n]+" needed "${needed}")
  set(changes "")
  foreach(other IN LISTS needed)
    if(other MATCHES "${absent}")
      list(APPEND changes --replace-needed "${other}" libcaffe_acu_absent.so)
    elseif(other MATCHES "${lapack}")
      list(APPEND changes --replace-needed "${other}" libopenblas.so.0)
    endif()
  endforeach()
  # In one call, patchelf 0.14 loses the new names.
  if(changes)
    execute_process(COMMAND "${PATCHELF}" ${changes} "${copy}" COMMAND_ERROR_IS_FATAL ANY)
  endif()
  execute_process(COMMAND "${PATCHELF}" --set-rpath "$ORIGIN" "${copy}" COMMAND_ERROR_IS_FATAL ANY)
  copy_licence("${file}")
endforeach()

# ---- VERSION: the commit as it is now, which need not be the one that was configured
execute_process(COMMAND git -C "${SOURCE_DIR}" describe --always --abbrev=40 --dirty
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
  set(commit unknown)
endif()
file(READ "${OPTIONS_FILE}" options)
file(WRITE "${root}/share/caffe-acu/VERSION" "${options}commit ${commit}\n")
