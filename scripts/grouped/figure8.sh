#!/usr/bin/env bash
# Figure 8 of the grouped paper, position sets in the last block of x1d.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped figure8 "$@"
