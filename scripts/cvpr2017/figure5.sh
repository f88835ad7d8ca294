#!/usr/bin/env bash
# Figure 5 of the CVPR paper, learned positions of the plain network, CIFAR-10.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 figure5 "$@"
