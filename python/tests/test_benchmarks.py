"""That the benchmark starts; what it measures needs the peers, and an idle machine."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def test_the_benchmark_lists_what_it_measures():
    listed = subprocess.run(
        [ROOT / "benchmarks" / "run.sh", "--list"], capture_output=True, text=True, check=True
    ).stdout
    for name in ("plain/192-192-8x8", "29-layer/32-32-32x32", "depthwise-xception/728-14x14", "training", "memory"):
        assert name in listed


def test_reading_is_measured_in_every_case(tmp_path):
    options = ["--folder", tmp_path, "--records", "100", "--batch-size", "8", "--seconds", "0.01", "--rounds", "1"]
    subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "reading.py", *options, "--prefetch", "1", "--out", tmp_path / "result"],
        check=True,
        capture_output=True,
    )
    results = json.loads((tmp_path / "result.json").read_text())["results"]
    assert len(results) == 8  # raw or decoded, in order or shuffled, with 1 or 2 threads
    assert all(min(result["records_per_s"]) > 0 for result in results)
    assert "| decoded, crop 224 | shuffled | 2 | 1 |" in (tmp_path / "result.md").read_text()


def test_preparing_photographs_is_measured_against_a_bare_loop(tmp_path):
    options = ["--images", "40", "--rounds", "1", "--workers", "1", "--folder", tmp_path, "--out", tmp_path / "result"]
    subprocess.run([sys.executable, ROOT / "benchmarks" / "data_rate.py", *options], check=True, capture_output=True)
    (result,) = json.loads((tmp_path / "result.json").read_text())["results"]
    assert result["workers"] == len(result["bare"]) == len(result["ours"]) == 1
    assert "| workers | ours, images/s | bare, images/s |" in (tmp_path / "result.md").read_text()


def test_the_layer_of_pytorch_is_measured_against_caffes(tmp_path):
    pytest.importorskip("torch", reason="PyTorch is not installed: scripts/setup.sh --torch")
    options = ["--only", "dense/64-128", "--rounds", "1", "--out", tmp_path / "result"]
    subprocess.run([sys.executable, ROOT / "benchmarks" / "torch_layer.py", *options], check=True, capture_output=True)
    result = json.loads((tmp_path / "result.json").read_text())
    assert [row["pass"] for row in result["rows"]] == ["forward", "forward+backward"]
    assert all(row["ratios"]["active/acu"] > 0 and row["ratios"]["active/torch"] > 0 for row in result["rows"])
    assert not [line for line in result["notes"] if line.startswith("DIFFERENT RESULTS")]
    assert "| dense/64-128-32x32-s2 |" in (tmp_path / "result.md").read_text()
