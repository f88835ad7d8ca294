#!/usr/bin/env bash
# Sets everything up and runs all tests: upstream's suite, ours in C++, ours in Python.
#
# Tests on real data run where CAFFE_ACU_SHARED names a folder with golden/ and data/; elsewhere they are
# skipped, and say so.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/setup.sh --tests "$@"
ctest --test-dir build --output-on-failure
.venv/bin/python -m pytest -q
