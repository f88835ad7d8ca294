#!/usr/bin/env bash
# Table 4 of the CVPR paper, AlexNet and ResNet26 on Places365.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 table4 "$@"
