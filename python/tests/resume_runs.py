"""Trainings that are stopped in every way and taken up again, with all that has a state of its own."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.experiments.run import caffe_program

RECORDS, BATCH, ITERATIONS = 37, 8, 60
_DATA = """
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TRAIN }}
  transform_param {{ mirror: true crop_size: 10 }}
  data_param {{ source: "images" batch_size: {batch} backend: LMDB {data} }} }}
layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: TEST }}
  transform_param {{ crop_size: 10 }} data_param {{ source: "images" batch_size: 5 backend: LMDB }} }}
"""
SECOND_DATA = """
layer { name: "more" type: "Data" top: "more" include { phase: TRAIN } transform_param { mirror: true crop_size: 10 }
  data_param { source: "images" batch_size: 8 backend: LMDB shuffle: true prefetch: 1 } }
layer { name: "noise" type: "DummyData" top: "noise" include { phase: TRAIN }
  dummy_data_param { shape { dim: 8 dim: 3 dim: 10 dim: 10 } data_filler { type: "gaussian" std: 20 } } }
layer { name: "all" type: "Eltwise" bottom: "data" bottom: "more" bottom: "noise" top: "all" include { phase: TRAIN } }
layer { name: "all" type: "Power" bottom: "data" top: "all" include { phase: TEST } }
"""
_LAYERS = """
layer {{ name: "conv1" type: "ACU" bottom: "{bottom}" top: "conv1"
  param {{ lr_mult: 1 }} param {{ lr_mult: 1 }} param {{ lr_mult: 0.01 }} param {{ lr_mult: 0.01 }}
  convolution_param {{ num_output: {outputs} kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }}
  acu_param {{ warmup_iter: 20 position_noise: 0.2 }} }}
layer {{ name: "bn1" type: "BatchNorm" bottom: "conv1" top: "conv1" }}
layer {{ name: "scale1" type: "Scale" bottom: "conv1" top: "conv1" scale_param {{ bias_term: true }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "conv1" top: "conv1" }}
layer {{ name: "drop1" type: "Dropout" bottom: "conv1" top: "conv1" dropout_param {{ dropout_ratio: 0.3 }} }}
layer {{ name: "ip1" type: "InnerProduct" bottom: "conv1" top: "ip1"
  inner_product_param {{ num_output: {hidden} weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "score" type: "InnerProduct" bottom: "ip1" top: "score"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""
_SOLVER = """
net: "net.prototxt" base_lr: 0.002 lr_policy: "multistep" gamma: 0.1 stepvalue: 40 momentum: 0.9 weight_decay: 0.001
max_iter: {iterations} snapshot: {snapshot} snapshot_prefix: "snapshots/run" display: 1 test_iter: {test_iter}
test_interval: 15 random_seed: 3 iter_size: 2 {more}
"""

# Object Modification Time in an object's header (HDF5 File Format Specification, IV.A.2.s): type, size, flags, seconds.
_HDF5_TIME = re.compile(rb"\x12\0\x08\0.\0\0\0\x01\0\0\0.{4}", re.DOTALL)


def make_run(
    folder: Path,
    data: str = "",
    second: bool = False,
    batch: int = BATCH,
    outputs: int = 6,
    hidden: int = 4,
    iterations: int = ITERATIONS,
    snapshot: int = 5,
    test_iter: int = 3,
    more: str = "",
) -> Path:
    """A folder from which ``caffe train --solver solver.prototxt`` starts, and writes snapshots/run_iter_<N>.*."""
    (folder / "snapshots").mkdir(parents=True)
    write_images(folder, RECORDS)
    net = _DATA.format(batch=batch, data=data) + (SECOND_DATA if second else "")
    net += _LAYERS.format(bottom="all" if second else "data", outputs=outputs, hidden=hidden)
    (folder / "net.prototxt").write_text(net)
    solver = _SOLVER.format(iterations=iterations, snapshot=snapshot, test_iter=test_iter, more=more)
    (folder / "solver.prototxt").write_text(solver)
    return folder


def write_images(folder: Path, count: int) -> None:
    """An LMDB ``images`` of random records, 3x12x12, of three classes."""
    draw = np.random.default_rng(1)
    with lmdb.open(str(folder / "images"), map_size=1 << 24) as environment, environment.begin(write=True) as records:
        for i in range(count):
            datum = caffe_pb2.Datum(channels=3, height=12, width=12, label=int(draw.integers(3)))
            datum.data = draw.integers(0, 256, (3, 12, 12), np.uint8).tobytes()
            records.put(f"{i:08}".encode(), datum.SerializeToString())


def start(folder: Path, *options: str, program: Path | None = None, **popen: Any) -> subprocess.Popen:
    """``caffe train --resume auto``, with other options in its place if there are some; its log is ``log``."""
    command = [program or caffe_program(), "train", "--solver", "solver.prototxt", *(options or ("--resume", "auto"))]
    environment = {**os.environ, "GLOG_logtostderr": "1", "GLOG_minloglevel": "0"}
    with (folder / "log").open("w") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, **{"stderr": log, **popen})


def wait(process: subprocess.Popen, folder: Path, code: int = 0) -> str:
    """Waits for the end; what it has said."""
    assert process.wait(timeout=300) == code, (folder / "log").read_text()[-2000:]
    return (folder / "log").read_text()


def finish(folder: Path, *options: str, code: int = 0) -> str:
    return wait(start(folder, *options), folder, code)


def complaints(said: str, kinds: str = "E") -> list[str]:
    """The messages of lines that glog marks with one of these letters."""
    return [line.partition("] ")[2] for line in said.splitlines() if line[:1] in kinds and line[1:9].isdigit()]


def snapshots(folder: Path) -> list[int]:
    """Iterations of the solverstates."""
    states = (folder / "snapshots").glob("run_iter_*.solverstate*")
    return sorted(int(path.name.split("_")[2].split(".")[0]) for path in states)


def snapshot(folder: Path, iteration: int = ITERATIONS) -> dict[str, bytes]:
    """All files of a snapshot: weights; history, iteration, places and random numbers; digests, but not of HDF5."""
    files = {path.name: path.read_bytes() for path in (folder / "snapshots").glob(f"run_iter_{iteration}.*")}
    assert len(files) == 3
    if not any(name.endswith(".h5") for name in files):
        return files
    return {name: _HDF5_TIME.sub(b"", content) for name, content in files.items() if name.endswith(".h5")}


def remove_snapshots(folder: Path) -> None:
    for path in (folder / "snapshots").glob("run_iter_*"):
        path.unlink()


def parts(folder: Path) -> list[Path]:
    """Of files that were being written."""
    return list((folder / "snapshots").glob(".*.partial"))
