#!/usr/bin/env bash
# Table 7 of the grouped paper, Xception on ImageNet.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped table7 "$@"
