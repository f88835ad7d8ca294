#!/usr/bin/env bash
# Makes every picture of docs/gallery.md anew, by the commands that stand there, from the runs in results/ that they
# name, and renews the page's table of these runs.
set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."
scripts/setup.sh
exec .venv/bin/python scripts/gallery.py
