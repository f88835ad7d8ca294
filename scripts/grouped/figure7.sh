#!/usr/bin/env bash
# Figure 7 of the grouped paper, accuracy by cardinality, CIFAR-10.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped figure7 "$@"
