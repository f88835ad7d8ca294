#!/usr/bin/env bash
# Figure 12 of the CVPR paper, learned positions on Places365, AlexNet and residual network.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 figure12 "$@"
