#!/usr/bin/env bash
# Figure 4 of the grouped paper, learned positions of the 29-layer network.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped figure4 "$@"
