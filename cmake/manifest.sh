#!/usr/bin/env bash
# Writes caffe-99bd997.sha256, the list of the files we build from, out of a tree of BVLC Caffe that
# is known to be right.   usage: cmake/manifest.sh <tree>
set -euo pipefail
out="$(dirname "$(realpath "$0")")/caffe-99bd997.sha256"
cd "$1"
{
  echo "# BVLC Caffe 1.0 at commit 99bd997: the files that we build from. Made by cmake/manifest.sh."
  find LICENSE include src tools/*.cpp python/caffe examples/images -type f \
    \( -name '*.cpp' -o -name '*.cu' -o -name '*.cuh' -o -name '*.h' -o -name '*.hpp' -o -name '*.cc' \
       -o -name '*.proto' -o -name '*.py' -o -name '*.npy' -o -name '*.jpg' -o -name LICENSE \
       -o -path 'src/caffe/test/test_data/*' \) |
    LC_ALL=C sort | tr '\n' '\0' | xargs -0 sha256sum
} > "$out"
