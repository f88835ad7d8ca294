"""That the benchmark starts; what it measures needs the peers, and an idle machine."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_lists_what_it_measures():
    listed = subprocess.run(
        [ROOT / "benchmarks" / "run.sh", "--list"], capture_output=True, text=True, check=True
    ).stdout
    for name in ("plain/192-192-8x8", "29-layer/32-32-32x32", "depthwise-xception/728-14x14", "training", "memory"):
        assert name in listed
