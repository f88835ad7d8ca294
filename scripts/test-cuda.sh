#!/usr/bin/env bash
# Compiles and links the build for GPUs, with everything of CUDA from Python packages, and runs our tests on it:
# on a GPU if there is one; without, those of the CPU, and those of the GPU in an emulation on the CPU. Then packs it.
#
#   scripts/test-cuda.sh [-D<CMAKE_OPTION>=<value> ...]
#
# For one kind of GPU, in build-cuda/, so that build/ stays what it is.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/setup.sh --tests --cuda-wheels --build build-cuda -DCMAKE_CUDA_ARCHITECTURES=90 \
  -DCAFFE_ACU_UPSTREAM_TESTS=OFF -DCAFFE_ACU_PYTHON=OFF "$@"
ctest --test-dir build-cuda --output-on-failure --parallel 2
CAFFE_ACU_BUILD=build-cuda .venv/bin/python -m pytest -q python/tests/test_package.py
CAFFE_ACU_BUILD=build-cuda PYTHONPATH=build-cuda/python .venv/bin/python -m pytest -q python/tests/test_several_gpus.py
