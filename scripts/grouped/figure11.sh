#!/usr/bin/env bash
# Figure 11 of the grouped paper, accuracy by parameters, MobileNet v2, ImageNet.
# Interrupted, it goes on when it is run again. Options: --help.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/../.."
scripts/setup.sh
exec .venv/bin/caffe-acu reproduce grouped figure11 "$@"
