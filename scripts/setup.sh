#!/usr/bin/env bash
# Sets up everything on a fresh Debian machine: packages, Python environment, Caffe with the ACU layers.
# Run again after any change; what stands is left alone.
#
#   scripts/setup.sh [--tests] [--torch] [--mpi] [--fuzz] [--cuda | --cuda-wheels] [--package] [--build <folder>]
#                    [-D<CMAKE_OPTION>=<value> ...]
#
#   --tests         build upstream's tests and ours as well, and install pytest, Selenium and Chromium
#   --torch         PyTorch for caffe_acu.torch, whatever it brings. --tests installs it only where pip finds the build
#                   for the CPU: the other one brings several GB of CUDA. Without it the tests that need it are skipped
#   --mpi           mpi4py, for `mpirun -np N caffe-acu train`, and Open MPI if the machine has no MPI. --tests does it, too
#   --cuda          build for GPUs, with the system's nvcc if there is one; fetches cuBLAS, cuRAND, cuDNN and
#                   NCCL into .venv (1 GB). Needs no GPU; the build runs on machines with and without one.
#   --cuda-wheels   the same, with the compiler from .venv as well
#   --fuzz          what scripts/fuzz.sh needs: Clang and Atheris. --fuzz-python: Atheris alone
#   --package       also pack what was built, to be run on machines where nothing can be installed (docs/package.md)
#   --build <folder>  build there instead of build/, e.g. beside a build for the CPU only
#   -D...           handed to CMake, e.g. -DCAFFE_SOURCE_DIR=/path/to/a/checkout/of/caffe or, with --cuda,
#                   -DCMAKE_CUDA_ARCHITECTURES=90 for one kind of GPU, which takes a third of the time
#
# Needs root or sudo for the packages, if any are missing. Results: .venv/ and build/.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

tests=OFF
torch=OFF
mpi=OFF
fuzz=OFF
cuda=""
build=build
packages=()
target=all
cmake_options=()
while [ $# -gt 0 ]; do
  case "$1" in
    # patchelf takes libraries apart; in Chromium, which its driver remote-controls, pages of results are looked at.
    # iproute2 makes two machines of one, with a network between them.
    --tests) tests=ON; mpi=ON; packages+=(patchelf chromium chromium-driver iproute2) ;;
    --torch) torch=ON ;;
    --mpi) mpi=ON ;;
    --fuzz) fuzz=ON; packages+=(clang-14 libclang-rt-14-dev llvm-14) ;;
    --fuzz-python) fuzz=ON ;;
    --cuda | --cuda-wheels) cuda=$1 ;;
    --package) target=package; packages+=(patchelf) ;;
    --build) build=${2:?"--build needs a folder"}; shift ;;
    -D*) cmake_options+=("$1") ;;
    -h | --help) sed -n '2,23s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
  shift
done

say() { printf '== %s\n' "$*" >&2; }
# Runs a command whose output matters only if it fails.
quietly() {
  local log
  log=$(mktemp)
  if ! "$@" > "$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    say "failed: $*"
    exit 1
  fi
  rm -f "$log"
}

# A build keeps what it was once made with.
was_built_with() { grep -qs "^$1:BOOL=ON" "$build/CMakeCache.txt"; }
was_built_with CAFFE_ACU_TESTS && tests=ON
[ -n "$cuda" ] || ! was_built_with CAFFE_ACU_CUDA || cuda=--cuda
[ "$cuda" != --cuda ] || command -v nvcc > /dev/null || [ -x /usr/local/cuda/bin/nvcc ] || cuda=--cuda-wheels

[ "$mpi" = OFF ] || command -v mpirun > /dev/null || packages+=(openmpi-bin)
packages+=(
  g++ cmake ninja-build pkg-config patch ccache
  libboost-dev libboost-system-dev libboost-thread-dev libboost-filesystem-dev libboost-python-dev
  libprotobuf-dev protobuf-compiler libgoogle-glog-dev libgflags-dev libhdf5-dev liblmdb-dev
  libopenblas-dev libtbb-dev libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev
  # The system's Python, because Debian's Boost.Python is made for that one.
  python3 python3-dev python3-venv
  # Lays out the drawings of networks, and letters as wide as those that browsers show for Helvetica and Arial.
  graphviz fonts-liberation
)
# Fibers, as which the emulation of a GPU runs threads.
[ -z "$cuda" ] || packages+=(libboost-context-dev)
missing=()
for package in "${packages[@]}"; do
  [[ "$(dpkg-query -W -f '${Status}' "$package" 2> /dev/null)" == *'ok installed'* ]] || missing+=("$package")
done
if [ "${#missing[@]}" -gt 0 ]; then
  say "installing Debian packages: ${missing[*]}"
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo > /dev/null || { say "run this as root, or install sudo"; exit 1; }
    as_root=(sudo)
  fi
  quietly "${as_root[@]}" apt-get update
  quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends "${missing[@]}"
fi

python=.venv/bin/python
[ -x "$python" ] || { say "making the Python environment .venv"; quietly /usr/bin/python3 -m venv .venv; }
# pip is asked only for what it has not installed yet, in the version that pyproject.toml has now.
wanted=$(sha256sum pyproject.toml | cut -c1-64)
touch .venv/installed
# Whether pip's indexes have PyTorch without CUDA, which its requirements tell before anything is fetched.
torch_is_for_cpu() {
  grep -qx "$wanted test-torch" .venv/installed && return
  local requirement
  requirement=$(sed -n 's/^test-torch = \["\(.*\)"\]$/\1/p' pyproject.toml)
  "$python" -m pip install --disable-pip-version-check --quiet --dry-run --ignore-installed --no-deps --report - \
    "$requirement" 2> /dev/null | "$python" -c 'if True:
      import json, sys
      needed = json.load(sys.stdin)["install"][0]["metadata"].get("requires_dist", [])
      sys.exit(any(package.startswith(("nvidia", "cuda")) for package in needed))' 2> /dev/null && return
  say "pip finds no PyTorch for the CPU alone: its tests will be skipped (see --torch)"
  false
}
extras=(base reproduce onnx)
[ "$tests" = OFF ] || extras+=(test)
[ "$tests" = OFF ] || ! torch_is_for_cpu || torch=ON
[ "$torch" = OFF ] || extras+=(test-torch)
[ "$mpi" = OFF ] || extras+=(mpi)
[ "$fuzz" = OFF ] || extras+=(fuzz)
[ -z "$cuda" ] || extras+=(cuda)
[ "$cuda" != --cuda-wheels ] || extras+=(cuda-compiler)
for extra in "${extras[@]}"; do
  grep -qx "$wanted $extra" .venv/installed && continue
  say "installing Python packages ($extra)"
  package="."
  [ "$extra" = base ] || package=".[$extra]"
  quietly "$python" -m pip install --disable-pip-version-check --editable "$package"
  echo "$wanted $extra" >> .venv/installed
done
site_packages=$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Makes `import caffe` find pycaffe in the build tree.
[ "$build" != build ] || echo "$PWD/build/python" > "$site_packages/caffe_build.pth"

cmake_options=("-DPython_EXECUTABLE=$PWD/$python" "-DCAFFE_ACU_TESTS=$tests" "${cmake_options[@]}")
[ -z "$cuda" ] || cmake_options+=(-DCAFFE_ACU_CUDA=ON)
[ "$cuda" != --cuda-wheels ] || cmake_options+=("-DCMAKE_CUDA_COMPILER=$site_packages/nvidia/cu13/bin/nvcc")
say "configuring"
quietly cmake -S . -B "$build" -G Ninja "${cmake_options[@]}"
say "building (about 5 minutes on 2 cores the first time, for GPUs 10 and more)"
cmake --build "$build" --target "$target"
say "ready: $build/bin/caffe, .venv/bin/caffe-acu, and import caffe in $python"
