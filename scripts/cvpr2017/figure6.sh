#!/usr/bin/env bash
# Figure 6 of the CVPR paper, movement of positions, first and last ACU.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 figure6 "$@"
