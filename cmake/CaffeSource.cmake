# Brings BVLC Caffe into the build tree: finds a copy, proves that it is the commit we build on,
# and applies our patches to it.
#
#   caffe_acu_prepare_source(<out-dir-variable>)
#
# Where the copy comes from, first match wins:
#   CAFFE_SOURCE_DIR      a checkout or an unpacked tarball
#   CAFFE_SOURCE_ARCHIVE  a tarball
#   the cache             ${CAFFE_ACU_CACHE}/<archive>
#   the Debian mirror     that this machine's apt is configured with
#
# Whatever the origin, only the files listed in caffe-99bd997.sha256 are taken, each checked against
# the hash that stands there, so any unmodified copy of the commit is as good as any other.

set(CAFFE_COMMIT 99bd997)
set(CAFFE_ARCHIVE_NAME "caffe_1.0.0+git20180821.99bd997.orig.tar.gz")
set(CAFFE_ARCHIVE_SHA256 e0eb3f06794f7402c77b7dec8e8480273ee1a1bb192e9122b621a69d4147ad0c)
set(CAFFE_MANIFEST "${CMAKE_CURRENT_LIST_DIR}/caffe-99bd997.sha256")
set(CAFFE_PATCH_DIR "${CMAKE_CURRENT_LIST_DIR}/../caffe_acu/patches")

if(DEFINED ENV{CAFFE_ACU_CACHE})
  set(_cache "$ENV{CAFFE_ACU_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
  set(_cache "$ENV{XDG_CACHE_HOME}/caffe-acu")
else()
  set(_cache "$ENV{HOME}/.cache/caffe-acu")
endif()
set(CAFFE_ACU_CACHE "${_cache}" CACHE PATH "Folder in which downloaded archives are kept")
set(CAFFE_SOURCE_DIR "" CACHE PATH "A checkout of BVLC Caffe at ${CAFFE_COMMIT} (default: fetch it)")
set(CAFFE_SOURCE_ARCHIVE "" CACHE FILEPATH "A tarball of BVLC Caffe at ${CAFFE_COMMIT} (default: fetch it)")

# Downloads the archive through apt itself, so that its mirror, proxy and credentials apply.
# Debian dropped the package after bullseye, but its file stays in the pool.
function(_caffe_acu_download target)
  find_program(APT_HELPER apt-helper PATHS /usr/lib/apt NO_DEFAULT_PATH)
  find_program(APT_GET apt-get)
  set(tried "")
  if(APT_HELPER AND APT_GET)
    execute_process(COMMAND "${APT_GET}" indextargets --format "$(REPO_URI)"
      OUTPUT_VARIABLE repositories OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REPLACE "\n" ";" repositories "${repositories}")
    list(REMOVE_DUPLICATES repositories)
    get_filename_component(folder "${target}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    foreach(repository IN LISTS repositories)
      string(REGEX REPLACE "/+$" "" repository "${repository}")
      set(url "${repository}/pool/main/c/caffe/${CAFFE_ARCHIVE_NAME}")
      message(STATUS "Fetching ${CAFFE_ARCHIVE_NAME} from the configured Debian mirror")
      execute_process(
        COMMAND "${APT_HELPER}" download-file "${url}" "${target}.part"
          "SHA256:${CAFFE_ARCHIVE_SHA256}"
        RESULT_VARIABLE failed OUTPUT_QUIET ERROR_QUIET)
      if(NOT failed)
        file(RENAME "${target}.part" "${target}")
        return()
      endif()
      file(REMOVE "${target}.part")
      string(APPEND tried "\n    ${url}")
    endforeach()
  endif()
  message(FATAL_ERROR
    "The source of BVLC Caffe (${CAFFE_ARCHIVE_NAME}) could not be fetched. Tried:${tried}\n"
    "Either run `apt-get update` and try again, or get a copy of commit ${CAFFE_COMMIT} elsewhere "
    "and pass it as -DCAFFE_SOURCE_ARCHIVE=<tarball> or -DCAFFE_SOURCE_DIR=<checkout>, or put the "
    "tarball into ${CAFFE_ACU_CACHE}.")
endfunction()

# Unpacks a tarball and finds the source's root in it, whatever its folder is called.
function(_caffe_acu_unpack archive out)
  set(folder "${CMAKE_BINARY_DIR}/caffe-unpacked")
  file(REMOVE_RECURSE "${folder}")
  file(ARCHIVE_EXTRACT INPUT "${archive}" DESTINATION "${folder}")
  file(GLOB_RECURSE marker "${folder}/caffe.proto")
  if(NOT marker)
    message(FATAL_ERROR "${archive}: no src/caffe/proto/caffe.proto in it; is it a tarball of Caffe?")
  endif()
  list(GET marker 0 marker)
  get_filename_component(root "${marker}/../../../.." ABSOLUTE)
  set(${out} "${root}" PARENT_SCOPE)
endfunction()

# Fails, naming the files, unless `root` holds the commit; returns the list of its files.
function(_caffe_acu_verify root origin out)
  file(STRINGS "${CAFFE_MANIFEST}" lines REGEX "^[0-9a-f]")
  set(files "")
  set(wrong "")
  foreach(line IN LISTS lines)
    string(SUBSTRING "${line}" 0 64 expected)
    string(SUBSTRING "${line}" 66 -1 name)
    list(APPEND files "${name}")
    if(NOT EXISTS "${root}/${name}")
      string(APPEND wrong "\n    missing  ${name}")
      continue()
    endif()
    file(SHA256 "${root}/${name}" actual)
    if(NOT actual STREQUAL expected)
      string(APPEND wrong "\n    differs  ${name}")
    endif()
  endforeach()
  if(wrong)
    message(FATAL_ERROR "${origin} is not BVLC Caffe at ${CAFFE_COMMIT}:${wrong}\n"
      "Our patches fit that commit only. Check it out, or leave out the option to have it fetched.")
  endif()
  set(${out} "${files}" PARENT_SCOPE)
endfunction()

function(caffe_acu_prepare_source out)
  set(tree "${CMAKE_BINARY_DIR}/caffe")
  set(stamp "${CMAKE_BINARY_DIR}/caffe.stamp")
  file(GLOB patches CONFIGURE_DEPENDS "${CAFFE_PATCH_DIR}/*.patch")
  list(SORT patches)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${CAFFE_MANIFEST}" ${patches})

  # Unpacked again only when the origin or a patch changed.
  set(state "${CAFFE_SOURCE_DIR}|${CAFFE_SOURCE_ARCHIVE}")
  foreach(input IN LISTS CAFFE_MANIFEST patches)
    file(SHA256 "${input}" hash)
    string(APPEND state "|${hash}")
  endforeach()
  if(EXISTS "${stamp}")
    file(READ "${stamp}" last_state)
    if(last_state STREQUAL state)
      set(${out} "${tree}" PARENT_SCOPE)
      return()
    endif()
  endif()

  if(CAFFE_SOURCE_DIR)
    set(root "${CAFFE_SOURCE_DIR}")
    set(origin "CAFFE_SOURCE_DIR=${CAFFE_SOURCE_DIR}")
  else()
    if(CAFFE_SOURCE_ARCHIVE)
      set(archive "${CAFFE_SOURCE_ARCHIVE}")
      if(NOT EXISTS "${archive}")
        message(FATAL_ERROR "CAFFE_SOURCE_ARCHIVE=${archive} does not exist.")
      endif()
    else()
      set(archive "${CAFFE_ACU_CACHE}/${CAFFE_ARCHIVE_NAME}")
      if(EXISTS "${archive}")
        file(SHA256 "${archive}" hash)
        if(NOT hash STREQUAL CAFFE_ARCHIVE_SHA256)
          message(STATUS "The cached ${CAFFE_ARCHIVE_NAME} is damaged; fetching it again")
          file(REMOVE "${archive}")
        endif()
      endif()
      if(NOT EXISTS "${archive}")
        _caffe_acu_download("${archive}")
      endif()
    endif()
    set(origin "${archive}")
    _caffe_acu_unpack("${archive}" root)
  endif()
  _caffe_acu_verify("${root}" "${origin}" files)

  # Patched beside the tree, then moved in file by file where the text changed, so that an edited
  # patch recompiles what it touches and nothing else.
  set(staging "${CMAKE_BINARY_DIR}/caffe-staging")
  file(REMOVE_RECURSE "${staging}")
  foreach(name IN LISTS files)
    get_filename_component(folder "${staging}/${name}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    file(COPY_FILE "${root}/${name}" "${staging}/${name}")
  endforeach()
  find_program(PATCH_PROGRAM patch REQUIRED)
  foreach(patch IN LISTS patches)
    execute_process(
      COMMAND "${PATCH_PROGRAM}" -p1 --forward --batch --no-backup-if-mismatch --fuzz=0
        --directory "${staging}" --input "${patch}"
      RESULT_VARIABLE failed OUTPUT_VARIABLE log ERROR_VARIABLE log)
    if(failed)
      message(FATAL_ERROR "${patch} does not apply:\n${log}")
    endif()
  endforeach()
  foreach(name IN LISTS files)
    get_filename_component(folder "${tree}/${name}" DIRECTORY)
    file(MAKE_DIRECTORY "${folder}")
    file(COPY_FILE "${staging}/${name}" "${tree}/${name}" ONLY_IF_DIFFERENT)
  endforeach()
  file(REMOVE_RECURSE "${staging}" "${CMAKE_BINARY_DIR}/caffe-unpacked")
  file(WRITE "${stamp}" "${state}")
  list(LENGTH files file_count)
  list(LENGTH patches patch_count)
  message(STATUS "BVLC Caffe ${CAFFE_COMMIT}: ${file_count} files verified, ${patch_count} patches applied")
  set(${out} "${tree}" PARENT_SCOPE)
endfunction()
