#!/usr/bin/env bash
# Feeds readers of files that people download with bytes that a fuzzer makes up: those in C++ with libFuzzer under
# AddressSanitizer and UndefinedBehaviorSanitizer, those in Python with Atheris. Prints a table; exit code 1 if anything
# was found.
#
#   scripts/fuzz.sh [--seconds <N>] [--seed <N>] [--python] [TARGET ...]
#
#   --seconds <N>  for each target; 600 by default
#   --seed <N>     of the random choices, for the same inputs each time; by default new ones
#   --python       only the targets in Python, which need no build with Clang
#   TARGET         some of: prototxt weights hdf5 solverstate datum (C++), py-<name> (python/fuzz/fuzz_targets.py);
#                  without any, all
#
# Sets everything up, as scripts/setup.sh does. Interrupted, it ends with the table of what was done; started again, it
# goes on with the inputs that it found worth keeping. They are in results/fuzz/<target>/corpus, and an input that was too
# much in results/fuzz/<target>/findings. Mend what it shows, and keep the input in caffe_acu/fuzz/regressions/<target>
# or python/fuzz/regressions/<target>, from where ctest and pytest take it.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

seconds=600
seed=0
python_only=
targets=()
while [ $# -gt 0 ]; do
  case "$1" in
    --seconds) seconds=${2:?"--seconds needs a number"}; shift ;;
    --seed) seed=${2:?"--seed needs a number"}; shift ;;
    --python) python_only=1 ;;
    -h | --help) sed -n '2,19s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "fuzz.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
    *) targets+=("$1") ;;
  esac
  shift
done

cxx_targets=(prototxt weights hdf5 solverstate datum)
py_targets=(py-cifar_pickle py-cifar_archive py-picture_archive py-picture py-labels py-caffemodel py-prototxt
  py-positions py-shapes py-records py-answer)
known=" ${cxx_targets[*]} ${py_targets[*]} "
if [ ${#targets[@]} -eq 0 ]; then
  [ -n "$python_only" ] || targets=("${cxx_targets[@]}")
  targets+=("${py_targets[@]}")
fi
with_cxx=
for target in "${targets[@]}"; do
  [[ "$known" == *" $target "* ]] || { echo "fuzz.sh: no target $target; there are$known" >&2; exit 2; }
  [[ "$target" == py-* ]] || with_cxx=1
done

# ---- What is needed
if [ -n "$with_cxx" ]; then
  scripts/setup.sh --fuzz
  cmake -S . -B build-fuzz -G Ninja "-DPython_EXECUTABLE=$PWD/.venv/bin/python" -DCAFFE_ACU_PYTHON=OFF \
    -DCAFFE_ACU_TESTS=OFF -DCMAKE_C_COMPILER=clang-14 -DCMAKE_CXX_COMPILER=clang++-14 \
    '-DCAFFE_ACU_SANITIZE=fuzzer-no-link;address;undefined' > /dev/null
  cmake --build build-fuzz --target fuzz_caffe
else
  scripts/setup.sh --fuzz-python
fi

# ---- Runs
export PYTHONPATH=$PWD/python:$PWD/python/fuzz GLOG_minloglevel=3 CAFFE_ACU_THREADS=1 OPENCV_LOG_LEVEL=SILENT
# What Caffe cannot get, it has to do without; allocations in C++ of the libraries beneath it, too.
export ASAN_OPTIONS=allocator_may_return_null=1:max_allocation_size_mb=1024:detect_leaks=1:handle_abort=1:alloc_dealloc_mismatch=0
export UBSAN_OPTIONS=print_stacktrace=1:symbolize=1
symbolizer=$(command -v llvm-symbolizer-14) && export ASAN_SYMBOLIZER_PATH=$symbolizer
python=.venv/bin/python
results=results/fuzz
table=()
failed=0

write_seeds() {  # TARGET FOLDER
  case "$1" in
    py-*) "$python" -c 'import sys; from pathlib import Path; from fuzz_seeds import write_seeds
write_seeds(sys.argv[1], Path(sys.argv[2]))' "${1#py-}" "$2" ;;
    *) build-fuzz/bin/fuzz_caffe "--target=$1" "--seeds=$2" ;;
  esac
}

run() {  # TARGET
  local target=$1 place=$results/$1 kept options log begin code=0
  mkdir -p "$place/corpus" "$place/seeds" "$place/findings"
  log=$place/log
  write_seeds "$target" "$place/seeds"
  options=(-max_total_time="$seconds" -seed="$seed" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -max_len=16384
    -artifact_prefix="$place/findings/" "$place/corpus" "$place/seeds")
  case "$target" in
    py-*) kept=python/fuzz/regressions/${target#py-}; set -- "$python" python/fuzz/fuzz_run.py "${target#py-}" ;;
    *) kept=caffe_acu/fuzz/regressions/$target; set -- build-fuzz/bin/fuzz_caffe "--target=$target" ;;
  esac
  [ ! -d "$kept" ] || options+=("$kept")
  echo "== $target: $seconds s, log in $log" >&2
  begin=$SECONDS
  "$@" "${options[@]}" > "$log" 2>&1 || code=$?
  local count
  count=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log" | tail -1)
  local what=none
  if [ $code -ne 0 ] && [ -z "$interrupted" ]; then
    # An exception in Python comes first, and may have no words; "fuzz target exited" is what libFuzzer makes of it.
    what=$(grep -aoE '^([A-Za-z_.]*(Error|Exception|Escaped|Exit)(: .*)?$|SUMMARY: .*)|ERROR: libFuzzer: .*' "$log" |
      head -1 | cut -c1-100)
    what=${what:-"exit code $code, see $log"}
    failed=1
  fi
  table+=("$(printf '%-20s %12s %8d  %s' "$target" "${count:-?}" $((SECONDS - begin)) "$what")")
}

interrupted=
trap 'interrupted=1' INT TERM
for target in "${targets[@]}"; do
  [ -n "$interrupted" ] || run "$target"
done
printf '%-20s %12s %8s  %s\n' target executions seconds finding
printf '%s\n' "${table[@]}"
exit $failed
