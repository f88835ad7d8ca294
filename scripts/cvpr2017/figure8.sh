#!/usr/bin/env bash
# Figure 8 of the CVPR paper, training curves of the bottleneck residual network, CIFAR-10.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 figure8 "$@"
