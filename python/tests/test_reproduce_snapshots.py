"""Which snapshots a run keeps while it trains."""

from pathlib import Path

import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.experiments.run import Run
from caffe_acu.reproduce.execute import remove_snapshots


@pytest.fixture
def run(tmp_path) -> Run:
    (tmp_path / "snapshots").mkdir()
    return Run("net", tmp_path, 100)


def snapshot(run: Run, iteration: int, part: float = 1) -> None:
    """Writes a snapshot, or so much of it."""
    weights = caffe_pb2.NetParameter(layer=[caffe_pb2.LayerParameter(name="fc", type="InnerProduct")])
    state = caffe_pb2.SolverState(iter=iteration, current_step=1)
    for kind, message in (("caffemodel", weights), ("solverstate", state)):
        content = message.SerializeToString()
        path = run.folder / f"snapshots/net_iter_{iteration}.{kind}"
        path.write_bytes(content[: round(part * len(content))])


def kept(run: Run) -> list[int]:
    return [iteration for iteration, _ in run.states()]


def test_while_a_run_trains_the_last_two_stay(run):
    for iteration in (10, 20, 30):
        snapshot(run, iteration)
    stray: Path = run.folder / "snapshots/net_iter_5.caffemodel"  # a kill left no state of it
    stray.write_bytes(b"")
    remove_snapshots(run, 2)
    assert kept(run) == [20, 30] and len(list(stray.parent.iterdir())) == 4
    remove_snapshots(run, 1)
    assert kept(run) == [30]


def test_what_a_full_disk_cut_off_does_not_replace_a_whole_one(run):
    snapshot(run, 10)
    for iteration in (20, 30, 40):
        snapshot(run, iteration, 0.5)
        remove_snapshots(run, 2)
    assert run.last_complete_state()[0] == 10
    snapshot(run, 50)
    remove_snapshots(run, 2)
    assert kept(run) == [40, 50]
