#!/bin/sh
# ccache, as CMake's compiler launcher. It takes what a precompiled header is made of from the header that is there
# already, and so would never make another one: that one goes first.
for argument; do
  case $argument in
    *.gch) rm -f "$argument" ;;
  esac
done
# Precompiled headers are cached only with these allowances.
CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime exec ccache "$@"
