#!/usr/bin/env bash
# Figure 10 of the CVPR paper, training curves of AlexNet, Places365.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce cvpr2017 figure10 "$@"
