#!/usr/bin/env bash
# Builds with GCC's sanitizers and runs the tests under them. Whatever they find fails the run.
#
#   scripts/sanitize.sh address [<options of googletest>]
#       AddressSanitizer, LeakSanitizer and UndefinedBehaviorSanitizer, in build-address/: our tests, upstream's, and
#       pycaffe's mistakes
#   scripts/sanitize.sh thread [<options of googletest>]
#       ThreadSanitizer, in build-thread/: data layers, kernels and trainings side by side, and the program `caffe`
#
# Compiling takes half an hour and more on 2 cores. GTEST_TOTAL_SHARDS and GTEST_SHARD_INDEX run a part of the tests in
# C++. What is known of other libraries, and which tests ThreadSanitizer runs, stands in scripts/sanitize/;
# docs/sanitizers.md tells the rest.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
known=$PWD/scripts/sanitize
which=${1:-}
shift || true
case "$which" in
  address) setup=('-DCAFFE_ACU_SANITIZE=address;undefined') ;;
  thread) setup=(-DCAFFE_ACU_SANITIZE=thread -DCAFFE_ACU_PYTHON=OFF -DCAFFE_ACU_UPSTREAM_TESTS=OFF) ;;
  -h | --help) sed -n '2,13s/^# \{0,1\}//p' "$0"; exit 0 ;;
  *) echo "sanitize.sh: address or thread (see --help)" >&2; exit 2 ;;
esac
build=$PWD/build-$which
scripts/setup.sh --tests --build "build-$which" "${setup[@]}"

# Tests ask for more memory than there is, and are to be told so.
export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:detect_leaks=1:allocator_may_return_null=1
export LSAN_OPTIONS=suppressions=$known/leaks:print_suppressions=0
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=suppressions=$known/threads:halt_on_error=0:exitcode=66:history_size=4
run_tests() { (cd "$build/caffe" && "$build/bin/$1" --gtest_death_test_style=threadsafe "${@:2}"); }
run_pytest() { PYTHONPATH=$build/python .venv/bin/python -m pytest -q "$@"; }
case "$which" in
  address)
    run_tests acu_tests "$@"
    run_tests caffe_tests "$@"
    # Python has no sanitizer in it, so its library has to be there first; and it leaves much to the end of the process.
    preload=$(printf '%s ' "$(g++ -print-file-name=libasan.so)" "$(g++ -print-file-name=libubsan.so)" \
      "$(g++ -print-file-name=libstdc++.so)")
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 LD_PRELOAD=$preload run_pytest python/tests/test_caffe_exceptions.py
    ;;
  thread)
    run_tests acu_tests --gtest_filter="$(grep -v '^#' "$known/thread-tests" | paste -sd:)" "$@"
    run_pytest python/tests/test_caffe_errors.py python/tests/test_resume.py
    ;;
esac
