# Merges our messages into caffe.proto.
#
#   caffe_acu_merge_proto(<caffe.proto> <ours.proto> <merged.proto>)
#
# Our file is written as an ordinary proto2 file: its messages are appended as they stand, and each
# `extend X { fields }` puts its fields into Caffe's own message X. Real proto2 extensions would make
# users write `[caffe.acu_param] { ... }` in a prototxt; merged fields read like Caffe's own.

function(caffe_acu_merge_proto upstream ours merged)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${upstream}" "${ours}")
  # A list in CMake is split at semicolons, and brackets would glue its items: both are put aside.
  file(READ "${upstream}" text)
  file(READ "${ours}" added)
  string(REGEX REPLACE "^.*// *-+ merged from here -+ *\n" "" added "${added}")
  set(block "extend +([A-Za-z]+) *{([^}]*)}\n")
  while(added MATCHES "${block}")
    set(message "${CMAKE_MATCH_1}")
    set(fields "${CMAKE_MATCH_2}")
    set(head "\nmessage ${message} {\n")
    string(FIND "${text}" "${head}" position)
    if(position EQUAL -1)
      message(FATAL_ERROR "${ours}: caffe.proto has no message ${message} to extend")
    endif()
    string(REPLACE "${head}" "${head}  // merged from acu.proto${fields}" text "${text}")
    string(REPLACE "${CMAKE_MATCH_0}" "" added "${added}")
  endwhile()
  file(CONFIGURE OUTPUT "${merged}" CONTENT "@text@\n@added@" @ONLY)
endfunction()
