#!/usr/bin/env bash
# Figure 9 of the CVPR paper, learned positions of the bottleneck residual network, a row for each width.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 figure9 "$@"
