#!/usr/bin/env bash
# Figure 10 of the grouped paper, synapses in the residual blocks of Xception.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped figure10 "$@"
