#!/usr/bin/env bash
# Makes a folder with all that a trial needs on a bare machine with a GPU (docs/gpu_trial.md): the relocatable folder,
# our Python packages, wheels for Python 3.12, and images. On that machine: python3 OUT_DIR/trial.py all --out results
#
#   scripts/gpu_trial/make_kit.sh OUT_DIR [options]
#
#   --package <path>       the relocatable folder (docs/package.md), or its .tar.xz, built with CUDA, cuDNN and the
#                          tests; without it, it is built in build-gpu-kit (10 minutes and more)
#   --architecture <n>     the GPU that is built for (90: H100, H200)
#   --images <path>        CIFAR-10, an archive or a folder of any form that `caffe-acu data cifar10` reads
#                          (default: $CAFFE_ACU_SHARED/data/cifar10-jpeg.tar.xz); `none` leaves them out
#   --wheels "<names>"     packages to carry, for machines that lack them (numpy pillow lmdb protobuf six tqdm); what
#                          the machine has already is not used
#   --dcls                 carry DCLS, to compare with, too
#   --limit <MiB>          refuse to make a larger kit (64)
set -euo pipefail
root=$(cd "$(dirname "$(realpath "$0")")/../.." && pwd)
say() { printf '%s\n' "make_kit.sh: $*" >&2; }
fail() { say "$*"; exit 2; }

out="" package="" architecture=90 limit=64 dcls=false
images=${CAFFE_ACU_SHARED:+$CAFFE_ACU_SHARED/data/cifar10-jpeg.tar.xz}
wheels="numpy pillow lmdb protobuf six tqdm"
while [ $# -gt 0 ]; do
  case "$1" in
    --package) package=${2:?"--package needs a path"}; shift ;;
    --architecture) architecture=${2:?"--architecture needs a number"}; shift ;;
    --images) images=${2:?"--images needs a path"}; shift ;;
    --wheels) wheels=${2-}; shift ;;
    --dcls) dcls=true ;;
    --limit) limit=${2:?"--limit needs a number"}; shift ;;
    -h | --help) sed -n '2,17s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) fail "unknown option $1 (see --help)" ;;
    *) [ -z "$out" ] || fail "one OUT_DIR, not $out and $1"; out=$1 ;;
  esac
  shift
done
[ -n "$out" ] || fail "where to? give OUT_DIR (see --help)"
[ ! -e "$out" ] || [ -f "$out/KIT.json" ] || fail "$out: is there and no kit: choose another folder"
[ -n "$images" ] || fail "which images? give --images (see --help), or --images none"
[ "$images" = none ] || [ -e "$images" ] || fail "$images: is not there: give --images another path"
python=${PYTHON:-$root/.venv/bin/python}
[ -x "$python" ] || fail "$python: is not there: run scripts/setup.sh, or name a python with pip in PYTHON"

if [ -z "$package" ]; then
  say "building for architecture $architecture"
  "$root/scripts/setup.sh" --package --tests --cuda --build build-gpu-kit \
    "-DCMAKE_CUDA_ARCHITECTURES=$architecture" -DUSE_NCCL=OFF
  package=$(ls -t "$root"/build-gpu-kit/caffe-acu-*.tar.xz | sed -n 1p)
fi

kit=$out.partial
rm -rf "$kit"
mkdir -p "$kit/wheels" "$kit/python"
trap 'rm -rf "$kit"' EXIT
say "packing $package"
if [ -d "$package" ]; then
  package=$(realpath "$package")
  tar --sort=name --owner=0 --group=0 -C "$(dirname "$package")" -c "$(basename "$package")" \
    | xz -9 -T0 > "$kit/package.tar.xz"
else
  cp "$package" "$kit/package.tar.xz"
fi
names=$(tar -tf "$kit/package.tar.xz") || fail "$package: neither a folder nor a .tar.xz"
for needed in bin/caffe bin/layer_times bin/acu_tests bin/caffe_tests share/caffe-acu/VERSION; do
  grep -q "^[^/]*/$needed\$" <<< "$names" \
    || fail "$package: has no $needed: build it with scripts/setup.sh --package --tests --cuda"
done

cp "$root"/scripts/gpu_trial/*.py "$kit"
mkdir "$kit/benchmarks"
cp "$root"/benchmarks/*.py "$kit/benchmarks"
tar -C "$root/python" --exclude=__pycache__ -c caffe_acu | tar -C "$kit/python" -x
if [ "$images" != none ]; then
  if [ -d "$images" ]; then
    tar --sort=name -C "$images" -c . | xz -9 -T0 > "$kit/images.tar.xz"
  else
    cp -L "$images" "$kit/$(basename "$images")"
    images=$(basename "$images")
  fi
  [ ! -f "$kit/images.tar.xz" ] || images=images.tar.xz
fi

requirements=$("$python" - "$root/pyproject.toml" $wheels << 'END'
import re, sys, tomllib
with open(sys.argv[1], "rb") as file:
    project = tomllib.load(file)["project"]
known = {re.match(r"[\w.-]+", requirement)[0]: requirement for requirement in project["dependencies"]}
for name in sys.argv[2:]:
    if name not in known:
        sys.exit(f"make_kit.sh: --wheels: {name} is none of {', '.join(known)}")
    print(known[name])
END
)
! "$dcls" || requirements+=$'\n'$(grep -o '^DCLS==[^ ]*' "$root/benchmarks/requirements.txt")
if [ -n "$requirements" ]; then
  say "fetching wheels:" $requirements
  platforms=()
  for glibc in 2_36 2_35 2_34 2_31 2_28 2_27 2_24 2_17; do platforms+=(--platform "manylinux_${glibc}_x86_64"); done
  mapfile -t requirements <<< "$requirements"
  "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --python-version 3.12 \
    --implementation cp "${platforms[@]}" --platform manylinux2014_x86_64 -d "$kit/wheels" "${requirements[@]}"
fi

"$python" - "$kit" "$images" "$(git -C "$root" describe --always --abbrev=40 --dirty 2> /dev/null || echo unknown)" << 'END'
import json, sys, tarfile
from datetime import UTC, datetime
from pathlib import Path
kit, images, commit = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
modules = {"pillow": "PIL", "protobuf": "google.protobuf", "dcls": "DCLS"}
wheels = {}
for wheel in sorted(path.name for path in (kit / "wheels").iterdir()):
    name = wheel.partition("-")[0].lower()
    wheels[modules.get(name, name)] = wheel
with tarfile.open(kit / "package.tar.xz") as tar:
    member = next(member for member in tar if member.name.endswith("share/caffe-acu/VERSION"))
    version = tar.extractfile(member).read().decode().strip()
about = {
    "made": datetime.now(UTC).isoformat(timespec="seconds"),
    "commit of the scripts": commit,
    "package": "; ".join(version.splitlines()),
    "wheels": wheels,
}
if images != "none":
    about["images"] = images
(kit / "KIT.json").write_text(json.dumps(about, indent=1) + "\n")
END

total=$(find "$kit" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')
if [ "$total" -gt $((limit * 1024 * 1024)) ]; then
  # awk reads to the end: where a pipe's reader leaves early, its writer dies of it, and with pipefail so do we.
  find "$kit" -type f -printf '%s %P\n' | sort -rn \
    | awk 'NR <= 6 { printf "%8.1f MiB  %s\n", $1 / 1048576, $2 }' >&2
  fail "the kit would be $((total / 1024 / 1024 + 1)) MiB, more than $limit: carry fewer --wheels, or --images none"
fi
rm -rf "$out"
mv "$kit" "$out"
trap - EXIT
say "$out: $((total / 1024 / 1024 + 1)) MiB of $limit"
