#!/usr/bin/env bash
# Section 4.3.3 of the grouped paper, x1d trained at learned, frozen positions.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped section433 "$@"
