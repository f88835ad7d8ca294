#!/usr/bin/env bash
# Table 1 of the grouped paper, 3x3, ACU and 7x7 on CIFAR-10.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped table1 "$@"
