#!/usr/bin/env bash
# Table 2 of the grouped paper, dilated and fixed positions on CIFAR-10.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped table2 "$@"
