#!/usr/bin/env bash
# Sets everything up and trains the plain network of the CVPR paper's Table 1 twice, with convolutions and
# with ACUs, on a schedule short enough for 10 minutes on 2 cores. Writes errors, curves and the learned
# shapes to results/quickstart.
#
#   scripts/quickstart.sh [--data <CIFAR-10: archive or folder>] [more options of `caffe-acu trial`]
#
# Without --data it makes its own images, in which the useful receptive field is known (data/generated).
# Interrupted, it goes on where it was when it is run again.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/setup.sh
exec .venv/bin/caffe-acu trial --out results/quickstart "$@"
