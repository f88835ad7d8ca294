"""Which snapshots a run keeps while it trains."""

from pathlib import Path

import pytest

from caffe_acu.experiments.run import Run
from caffe_acu.reproduce.execute import remove_snapshots


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "snapshots").mkdir()
    return Run("net", tmp_path, 100)


def snapshot(run: Run, iteration: int) -> None:
    for kind in ("caffemodel", "digests", "solverstate"):
        (run.folder / f"snapshots/net_iter_{iteration}.{kind}").write_bytes(b"")


def kept(run: Run) -> list[int]:
    return [iteration for iteration, _ in run.states()]


def test_while_a_run_trains_the_last_two_stay(run):
    for iteration in (10, 20, 30):
        snapshot(run, iteration)
    stray: Path = run.folder / "snapshots/net_iter_5.caffemodel"  # a kill left no state of it
    stray.write_bytes(b"")
    remove_snapshots(run, 2)
    assert kept(run) == [20, 30] and len(list(stray.parent.iterdir())) == 6
    remove_snapshots(run, 1)
    assert kept(run) == [30]
