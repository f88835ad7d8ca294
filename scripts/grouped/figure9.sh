#!/usr/bin/env bash
# Figure 9 of the grouped paper, positions in place of Inception modules, five sets each.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped figure9 "$@"
