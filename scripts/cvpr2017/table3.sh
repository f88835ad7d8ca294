#!/usr/bin/env bash
# Table 3 of the CVPR paper, residual networks on CIFAR-10 and CIFAR-100.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 table3 "$@"
