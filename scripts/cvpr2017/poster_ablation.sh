#!/usr/bin/env bash
# The poster's table, variants of the plain network on CIFAR-10.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 poster_ablation "$@"
