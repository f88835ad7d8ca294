"""Snapshots that are damaged, of another Caffe, of another network, or in another place; and pycaffe's."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from resume_runs import BATCH, ITERATIONS, complaints, finish, make_run, remove_snapshots, snapshot, snapshots

STOPPED = 30


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("whole") / "run")
    finish(folder)
    return folder


@pytest.fixture
def run(whole, tmp_path) -> Path:
    """With the snapshots of iteration 25 and STOPPED."""
    folder = make_run(tmp_path / "run")
    for iteration in (25, STOPPED):
        for name, content in snapshot(whole, iteration).items():
            (folder / "snapshots" / name).write_bytes(content)
    return folder


def state_of(run: Path, iteration: int = STOPPED) -> Path:
    return run / f"snapshots/run_iter_{iteration}.solverstate"


@pytest.mark.parametrize("kind", ["caffemodel", "solverstate"])
@pytest.mark.parametrize("damage", ["cut", "longer", "one bit", "empty", "missing"])
def test_damaged_snapshots_are_passed_over_and_refused(run, whole, kind, damage):
    path = state_of(run).with_suffix(f".{kind}")
    content = bytearray(path.read_bytes())
    if damage == "one bit":
        content[len(content) // 2] ^= 4
    path.write_bytes({"cut": content[:-1], "longer": content + b"x", "empty": b""}.get(damage, content))
    if damage == "missing":
        path.unlink()
    else:
        (line,) = complaints(finish(run, "--snapshot", str(state_of(run).relative_to(run)), code=1))
        assert f"run_iter_30.{kind}: damaged: its length and CRC-32 are" in line
    said = finish(run)
    if (kind, damage) != ("solverstate", "missing"):  # then there is nothing to pass over
        (line,) = complaints(said, "W")
        assert line.startswith("passed over a snapshot: snapshots/run_iter_30.") and path.name in line
    assert "going on from snapshots/run_iter_25.solverstate" in said
    assert snapshot(run) == snapshot(whole)


def test_all_damaged_and_none_at_all(run, whole):
    for iteration in (25, STOPPED):
        state_of(run, iteration).write_bytes(b"")
    said = finish(run)
    assert len(complaints(said, "W")) == 2
    assert "no snapshot of snapshots/run to go on from: the training begins" in said
    assert snapshot(run) == snapshot(whole)
    remove_snapshots(run)
    said = finish(run)
    assert not complaints(said, "WE") and "the training begins" in said
    assert snapshot(run) == snapshot(whole)
    said = finish(run)  # it is done
    assert f"going on from snapshots/run_iter_{ITERATIONS}" in said and "Optimization Done." in said
    assert snapshot(run) == snapshot(whole)


def test_options(run):
    (line,) = complaints(finish(run, "--resume", "x.solverstate", code=1))
    assert "--resume x.solverstate: it takes auto; a certain one is given to --snapshot" in line
    (line,) = complaints(finish(run, "--resume", "auto", "--snapshot", "x", code=1))
    assert "--resume auto and --snapshot x: give one of them" in line
    # Weights to begin with are for the first start.
    weights = str(state_of(run).with_suffix(".caffemodel").relative_to(run))
    said = finish(run, "--resume", "auto", "--weights", weights)
    assert "Finetuning" not in said
    remove_snapshots_but(run, STOPPED)
    state_of(run).unlink()
    assert "Finetuning from " + weights in finish(run, "--resume", "auto", "--weights", weights)


def remove_snapshots_but(run: Path, iteration: int) -> None:
    for path in (run / "snapshots").iterdir():
        if f"_{iteration}." not in path.name:
            path.unlink()


def test_a_solverstate_of_another_caffe(run, whole):
    """It has neither digests nor our fields, which other Caffes read over; it is good as far as it goes."""
    remove_snapshots_but(run, STOPPED)
    state_of(run).with_suffix(".digests").unlink()
    state = caffe_pb2.SolverState.FromString(state_of(run).read_bytes())
    assert {field.number for field, _ in state.ListFields()} == {1, 2, 3, 4, 1000}
    state.ClearField("training_state")
    state_of(run).write_bytes(state.SerializeToString())
    (line,) = complaints(finish(run), "W")
    assert "does not tell where its training had read: data begin anew" in line
    ours, other = (snapshot(folder)[f"run_iter_{ITERATIONS}.caffemodel"] for folder in (whole, run))
    assert ours != other


def test_a_solverstate_of_another_network_is_refused(run):
    remove_snapshots_but(run, STOPPED)
    net, solver = run / "net.prototxt", run / "solver.prototxt"
    before = net.read_text()
    net.write_text(before.replace("num_output: 4 ", "num_output: 5 "))
    (line,) = complaints(finish(run, code=1))
    assert "run_iter_30.solverstate: of another network: the history of its parameter " in line
    assert "has the shape 4 600 (2400), here 5 600 (3000)" in line
    net.write_text(before)
    solver.write_text(solver.read_text() + 'type: "Adam"')
    (line,) = complaints(finish(run, code=1))
    assert "run_iter_30.solverstate: of another network or type of solver: it has " in line


def test_another_batch_size_reads_on_from_the_record(run):
    net = run / "net.prototxt"
    net.write_text(net.read_text().replace(f"batch_size: {BATCH}", "batch_size: 6"))
    before = caffe_pb2.SolverState.FromString(state_of(run).read_bytes()).training_state
    finish(run)
    after = caffe_pb2.SolverState.FromString(state_of(run, ITERATIONS).read_bytes()).training_state
    taken = [{place.net: place.records for place in state.data} for state in (before, after)]
    # Two batches an iteration; the test net has been tested every 15 iterations.
    assert taken[0] == {0: 2 * BATCH * STOPPED, 1: 5 * 3 * 2}
    assert taken[1] == {0: 2 * BATCH * STOPPED + 2 * 6 * (ITERATIONS - STOPPED), 1: 5 * 3 * 4}


def test_moved_with_its_weights(run, whole, tmp_path):
    moved = tmp_path / "moved"
    (run / "snapshots").rename(moved)
    (run / "snapshots").mkdir()
    finish(run, "--snapshot", str(moved / f"run_iter_{STOPPED}.solverstate"))
    assert snapshot(run) == snapshot(whole)


def test_layers_that_cannot_read_on_are_named(tmp_path):
    run = make_run(tmp_path / "run", iterations=6, snapshot=3)
    cv2.imwrite(str(run / "image.png"), np.zeros((12, 12, 3), np.uint8))
    (run / "list").write_text("image.png 0\n" * 3)
    net = run / "net.prototxt"
    net.write_text(
        net.read_text()
        + 'layer { name: "files" type: "ImageData" top: "files" top: "classes" image_data_param { source: "list" '
        "batch_size: 2 } }\n"
        'layer { name: "none" type: "Silence" bottom: "files" bottom: "classes" }\n'
    )
    finish(run)
    assert snapshots(run) == [3, 6]
    state_of(run, 6).unlink()
    line, other = complaints(finish(run), "W")
    assert line == other  # of the training and the test net
    assert line.startswith("net.prototxt:21: ImageData layer 'files': begins to read anew: ")


def test_pycaffe_goes_on_exactly_too(run, whole, monkeypatch):
    import caffe

    monkeypatch.chdir(run)
    remove_snapshots(run)
    caffe.set_mode_cpu()
    solver = caffe.get_solver("solver.prototxt")
    solver.step(37)
    solver.snapshot()
    assert snapshots(run)[-1] == 37
    solver.step(ITERATIONS - 37)
    assert snapshot(run) == snapshot(whole)
    # The same solver, and a new one, twice.
    for again in (solver, caffe.get_solver("solver.prototxt"), caffe.get_solver("solver.prototxt")):
        for path in (run / "snapshots").glob(f"run_iter_{ITERATIONS}.*"):
            path.unlink()
        again.restore("snapshots/run_iter_37.solverstate")
        assert again.iter == 37
        again.step(ITERATIONS - 37)
        assert snapshot(run) == snapshot(whole)
    Path("snapshots/run_iter_37.solverstate").write_bytes(os.urandom(100))
    with pytest.raises(caffe.Error, match="run_iter_37.solverstate: damaged"):
        solver.restore("snapshots/run_iter_37.solverstate")
    assert solver.iter == ITERATIONS
    solver.step(1)
