#!/usr/bin/env bash
# Sets up everything on a fresh Debian machine: packages, Python environment, Caffe with the ACU layers.
# Run again after any change; what stands is left alone.
#
#   scripts/setup.sh [--tests] [-D<CMAKE_OPTION>=<value> ...]
#
#   --tests   build upstream's tests and ours as well, and install pytest
#   -D...     handed to CMake, e.g. -DCAFFE_SOURCE_DIR=/path/to/a/checkout/of/caffe
#
# Needs root or sudo for the packages, if any are missing. Results: .venv/ and build/.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

tests=OFF
extras=""
cmake_options=()
for argument in "$@"; do
  case "$argument" in
    --tests) tests=ON; extras="[test]" ;;
    -D*) cmake_options+=("$argument") ;;
    -h | --help) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "setup.sh: unknown option $argument (see --help)" >&2; exit 2 ;;
  esac
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

packages=(
  g++ cmake ninja-build pkg-config patch ccache
  libboost-dev libboost-system-dev libboost-thread-dev libboost-filesystem-dev libboost-python-dev
  libprotobuf-dev protobuf-compiler libgoogle-glog-dev libgflags-dev libhdf5-dev liblmdb-dev
  libopenblas-dev libtbb-dev libopencv-core-dev libopencv-imgproc-dev libopencv-imgcodecs-dev
  # The system's Python, because Debian's Boost.Python is made for that one.
  python3 python3-dev python3-venv
)
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f '${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing+=("$package")
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
# pip is asked only when pyproject.toml has changed, or when the tests' packages are wanted and not there.
wanted=$(sha256sum pyproject.toml | cut -c1-64)
installed=$(cat .venv/installed 2> /dev/null || true)
if [ "$installed" != "$wanted$extras" ] && [ "$installed" != "$wanted[test]" ]; then
  say "installing Python packages"
  quietly "$python" -m pip install --disable-pip-version-check --editable ".$extras"
  echo "$wanted$extras" > .venv/installed
fi
# Makes `import caffe` find pycaffe in the build tree.
echo "$PWD/build/python" > "$("$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/caffe_build.pth"

# A build that has the tests keeps them.
grep -qs '^CAFFE_ACU_TESTS:BOOL=ON' build/CMakeCache.txt && tests=ON
say "configuring"
quietly cmake -S . -B build -G Ninja "-DPython_EXECUTABLE=$PWD/$python" "-DCAFFE_ACU_TESTS=$tests" \
  "${cmake_options[@]}"
say "building (about 5 minutes on 2 cores the first time)"
cmake --build build
say "ready: build/bin/caffe, .venv/bin/caffe-acu, and import caffe in $python"
