#!/usr/bin/env bash
# Measures the layers and the plain network against the peers: a Markdown table on stdout, and
# <date>-<processor>.md and .json in benchmarks/results.
#
#   benchmarks/run.sh [options of run.py, see --help]
#
# Needs the project's environment and build (scripts/setup.sh). The peers, PyTorch and DCLS, go into
# benchmarks/.venv the first time; BENCHMARK_PYTHON=<python> names an environment that has them already.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
say() { printf '%s\n' "benchmarks/run.sh: $*" >&2; }

[ -x .venv/bin/python ] || { say "there is no .venv: run scripts/setup.sh first"; exit 2; }

asks=false
for argument in "$@"; do
  case "$argument" in -h | --help | --list) asks=true ;; esac
done
if [ -z "${BENCHMARK_PYTHON:-}" ] && ! "$asks"; then
  peers=benchmarks/.venv
  wanted=$(sha256sum benchmarks/requirements.txt | cut -c1-64)
  if [ "$(cat "$peers/installed" 2> /dev/null || true)" != "$wanted" ]; then
    say "installing the peers into $peers (once, some minutes)"
    [ -x "$peers/bin/python" ] || python3 -m venv "$peers"
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    if ! "$peers/bin/python" -m pip install --disable-pip-version-check -r benchmarks/requirements.txt \
      > "$log" 2>&1; then
      cat "$log" >&2
      say "the peers could not be installed; the lines above say why"
      exit 2
    fi
    echo "$wanted" > "$peers/installed"
    rm -f "$log"
    trap - EXIT
  fi
  export BENCHMARK_PYTHON=$peers/bin/python
fi
exec .venv/bin/python benchmarks/run.py "$@"
