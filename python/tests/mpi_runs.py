"""Trainings of several processes on this machine."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from caffe_acu.net_param import read_net
from resume_runs import snapshots, write_images

RECORDS, BATCH, ITERATIONS = 30, 8, 20
_NET = """
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ mirror: true crop_size: 10 scale: 0.02 }}
  data_param {{ source: "images" batch_size: {batch} backend: LMDB shuffle: true }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ crop_size: 10 scale: 0.02 }} data_param {{ source: "images" batch_size: 5 backend: LMDB }} }}
layer {{ name: "conv1" type: "ACU" bottom: "data" top: "conv1"
  param {{ lr_mult: 1 }} param {{ lr_mult: 1 }} param {{ lr_mult: 1 }} param {{ lr_mult: 1 }}
  convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }}
  acu_param {{ warmup_iter: 5 }} }}
{more}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "conv2" type: "GroupedACU" bottom: "conv1" top: "conv2"
  param {{ lr_mult: 1 }} param {{ lr_mult: 1 }} param {{ lr_mult: 1 }} param {{ lr_mult: 1 }}
  convolution_param {{ num_output: 6 kernel_size: 3 pad: 1 group: 3 weight_filler {{ type: "msra" }} }}
  acu_param {{ warmup_iter: 5 }} }}
layer {{ name: "score" type: "InnerProduct" bottom: "conv2" top: "score"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
layer {{ name: "accuracy" type: "Accuracy" bottom: "score" bottom: "label" top: "accuracy" include {{ phase: TEST }} }}
"""
_SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 15 momentum: 0.9 weight_decay: 0.001
max_iter: {iterations} snapshot: {snapshot} snapshot_prefix: "snapshots/run" display: 1 test_iter: 6 test_interval: 10
random_seed: 3 {solver}
"""
BATCH_NORM = 'layer { name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }'


def require_mpi() -> None:
    """Skips the test where there is no MPI."""
    pytest.importorskip("mpi4py", reason="mpi4py is not installed (scripts/setup.sh --mpi)")
    if not shutil.which("mpirun"):
        pytest.skip("there is no mpirun")


def make_run(
    folder: Path, more: str = "", solver: str = "", batch: int = BATCH, iterations: int = ITERATIONS, snapshot: int = 5
) -> Path:
    """A folder with records, a network without batch normalisation, unless ``more`` has it, and a solver."""
    (folder / "snapshots").mkdir(parents=True)
    write_images(folder, RECORDS)
    (folder / "net.prototxt").write_text(_NET.format(batch=batch, more=more))
    (folder / "solver.prototxt").write_text(_SOLVER.format(iterations=iterations, snapshot=snapshot, solver=solver))
    return folder


def command(ranks: int, *options: str) -> list[str]:
    """What starts ``caffe-acu train``; by mpirun, unless ``ranks`` is 0."""
    train = [sys.executable, "-m", "caffe_acu.cli.main", "train", "--solver", "solver.prototxt", *options]
    return ["mpirun", "-np", str(ranks), *train] if ranks else train


def environment() -> dict[str, str]:
    # More processes than cores, also as root; memory of other processes may not be read in every container.
    choices = {
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_hwloc_base_binding_policy": "none",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
        "CAFFE_ACU_THREADS": "1",
    }
    return {**{name: value for name, value in os.environ.items() if not name.startswith("GLOG_")}, **choices}


def start(
    folder: Path, ranks: int, *options: str, launcher: Sequence[str | Path] = (), **popen: Any
) -> subprocess.Popen:
    """Its log is ``log``. ``launcher``: what starts the processes in place of mpirun, if ``ranks`` is 0."""
    popen.setdefault("env", environment())
    words = [*launcher, *command(ranks, *options)]
    with (folder / "log").open("w") as log:
        return subprocess.Popen(words, cwd=folder, stdout=log, stderr=subprocess.STDOUT, **popen)


def finish(folder: Path, ranks: int, *options: str, code: int | None = 0, **popen: Any) -> str:
    """Trains to the end; what was said."""
    return wait(start(folder, ranks, *options, **popen), folder, code)


def wait(process: subprocess.Popen, folder: Path, code: int | None = 0) -> str:
    """Waits for the end; ``code``: how it must end, None for any failure."""
    ended = process.wait(timeout=200)
    said = (folder / "log").read_text()
    assert (ended != 0) if code is None else (ended == code), said[-3000:]
    return said


def parameters(folder: Path, iteration: int = ITERATIONS) -> dict[str, list[np.ndarray]]:
    """Blobs of each layer in a snapshot."""
    net = read_net(folder / "snapshots" / f"run_iter_{iteration}.caffemodel")
    return {layer.name: [np.array(blob.data) for blob in layer.blobs] for layer in net.layer if layer.blobs}


def assert_same_training(folder: Path, expected: Path, iteration: int = ITERATIONS) -> None:
    """Weights to 1e-4 of the largest, positions, which are the last two blobs of an active layer, to 1e-3 pixels."""
    ours, theirs = parameters(folder, iteration), parameters(expected, iteration)
    assert ours.keys() == theirs.keys()
    moved = 0.0
    for name in ours:
        for i, (one, other) in enumerate(zip(ours[name], theirs[name], strict=True)):
            is_position = name.startswith("conv") and i >= 2
            assert np.abs(one - other).max() <= (1e-3 if is_position else 1e-4 * np.abs(other).max()), (name, i)
            if is_position:
                moved = max(moved, np.abs(other - np.round(other)).max())
    assert moved > 0.05  # pixels, from the lattice


def gradient_bytes(folder: Path, iteration: int = ITERATIONS) -> int:
    """Of all parameters, learned or not."""
    return 4 * sum(blob.size for blobs in parameters(folder, iteration).values() for blob in blobs)


def pids(folder: Path, ranks: int) -> list[int]:
    """The processes of the ranks, in their order."""
    found = {}
    for process in Path("/proc").iterdir():
        try:
            words = (process / "environ").read_bytes().split(b"\0")
            cwd = (process / "cwd").readlink()
        except OSError:
            continue
        rank = next((word for word in words if word.startswith(b"OMPI_COMM_WORLD_RANK=")), None)
        if rank and cwd == folder:
            found[int(rank.partition(b"=")[2])] = int(process.name)
    assert sorted(found) == list(range(ranks))
    return [found[rank] for rank in range(ranks)]


def wait_until(run: Path, words: str) -> None:
    """Until the log has them."""
    wait_for_truth(lambda: words in (run / "log").read_text(), f"never said: {words}")


def wait_for_snapshot(run: Path) -> None:
    wait_for_truth(lambda: snapshots(run), "no snapshot")


def wait_for_death(processes: list[int]) -> None:
    wait_for_truth(lambda: not any(map(_is_alive, processes)), "ranks live on")


def wait_for_truth(condition: Callable[[], bool], otherwise: str) -> None:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() < begin + 100, otherwise
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    """Also false for one that has ended and that nobody has asked for."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def goes_on(run: Path) -> None:
    """That a training which was ended goes on, from the last snapshot that is there."""
    solver = run / "solver.prototxt"
    last = snapshots(run)[-1]
    solver.write_text(solver.read_text().replace("max_iter: 100000", f"max_iter: {last + 5}"))
    assert f"going on from snapshots/run_iter_{last}." in finish(run, 2, "--resume", "auto")
