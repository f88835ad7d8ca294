#!/usr/bin/env bash
# Sets everything up and runs all tests: upstream's suite, ours in C++, ours in Python.
#
# Tests on real data run where CAFFE_ACU_SHARED names a folder with golden/ and data/; elsewhere they are
# skipped, and say so.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/setup.sh --tests "$@"
ctest --test-dir build --output-on-failure
# Upstream's tests of pycaffe, but for the one that draws networks, which needs Graphviz; they leave files.
(cd build && ../.venv/bin/python -m pytest -q -W ignore python/caffe/test --ignore python/caffe/test/test_draw.py)
# Tests that share a costly start are in one file, and stay together.
.venv/bin/python -m pytest -q --numprocesses auto --maxprocesses 4 --dist loadfile
