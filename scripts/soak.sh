#!/usr/bin/env bash
# Trains for a while with everything that training does, in one process, and looks whether its memory stays flat:
# random image sizes and batches, test phases, snapshots, restores, nets that come and go, and mistakes.
#
#   scripts/soak.sh [--minutes 20] [--seed 1] [--out results/soak]
#
# Ends with a table, <out>/soak.csv, and exit code 1 if anything grows.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/setup.sh
exec .venv/bin/python scripts/soak/soak.py "$@"
