"""The runs of scaling.py: networks on images of noise, how ranks are started, and what their timing says."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import lmdb
import numpy as np
from protocol import last_words

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.nets.model import Model
from caffe_acu.nets.zoo import all_models
from caffe_acu.scaling.gradient import VALUE_BYTES, gradient_of

RANKS = (1, 2)  # together they have two threads
_THREADS = 2
_RECORDS = 64
_CIFAR_BATCH, _PHOTO_BATCH = 64, 8  # of all ranks together
_TIMING_FILE = "timing.jsonl"
_TIMING = ("seconds", "communication_seconds", "bytes")


@dataclass(frozen=True)
class Case:
    """A network, below models/, and how many images all ranks together take in an iteration."""

    model: str
    batch: int

    @property
    def network(self) -> Model:
        return next(model for model in all_models() if model.folder == self.model)


CASES = (
    *(Case(f"cvpr2017/{name}", _CIFAR_BATCH) for name in ("plain", "plain_acu")),
    *(Case(f"cvpr2017/{name}_acu", _CIFAR_BATCH) for name in ("basic_residual32", "bottleneck_residual47")),
    *(Case(f"cvpr2017/{name}_acu", _PHOTO_BATCH) for name in ("alexnet", "resnet26")),
    *(Case(f"grouped/{name}", _CIFAR_BATCH) for name in ("resnet29", "resnet29_acu", "resnet29_x1d_acu")),
    Case("grouped/depthwise_acu29", 16),
    *(Case(f"grouped/{name}", _PHOTO_BATCH) for name in ("inception_acu", "xception", "xception_acu")),
    *(Case(f"grouped/mobilenet_v2_x1.0{acu}", _PHOTO_BATCH) for acu in ("", "_acu")),
)


@dataclass(frozen=True)
class Sample:
    """A run: seconds of an iteration, and of that for communication, as medians; bytes that an iteration sends."""

    seconds: float
    communication: float
    sent: float


def prepare(case: Case, place: Path, ranks: int, iterations: int) -> Path:
    """Makes a folder below ``place`` that trains the network on so many ranks; returns it."""
    model = case.network
    images = _images(place / "images", model.data.source.crop_size)
    source = replace(
        model.data.source,
        train_lmdb=str(images),
        train_batch=case.batch // ranks,
        mean=(127.5,) * 3,
        mean_file="",
        scale=1 / 64,
    )
    net = replace(model, data=replace(model.data, source=source)).train_val()
    training = caffe_pb2.NetParameter(name=net.name)
    for layer in net.layer:
        if not any(rule.phase == caffe_pb2.TEST for rule in layer.include):
            training.layer.add().CopyFrom(layer)
            if layer.acu_param.warmup_iter:  # positions are to move, as in most of a training
                training.layer[-1].acu_param.ClearField("warmup_iter")
    folder = place / f"{model.name}-{ranks}"
    solver = model.schedule.message(net="train_val.prototxt", snapshot_prefix="snapshot")
    for field in ("test_iter", "test_interval", "test_initialization"):
        solver.ClearField(field)
    solver.base_lr, solver.max_iter, solver.display, solver.snapshot = 1e-3, iterations, 0, 0
    solver.snapshot_after_train = False
    write_atomically(folder / "train_val.prototxt", format_prototxt(training))
    write_atomically(folder / "solver.prototxt", format_prototxt(solver))
    return folder


def _images(folder: Path, side: int) -> Path:
    """An LMDB of noise, made where it is not there yet; its folder."""
    path = folder / str(side)
    if path.is_dir():
        return path
    path.mkdir(parents=True)
    noise = np.random.default_rng(1)
    with lmdb.open(str(path), map_size=_RECORDS * (3 * side**2 + 16_384) + (1 << 20)) as environment:
        with environment.begin(write=True) as transaction:
            for i in range(_RECORDS):
                datum = caffe_pb2.Datum(
                    channels=3, height=side, width=side, label=i % 10, data=noise.bytes(3 * side**2)
                )
                transaction.put(b"%08d" % i, datum.SerializeToString(), append=True)
    return path


def train_command(mpirun: Sequence[str], ranks: int, overlap: float) -> list[str]:
    """``overlap``: MiB of gradients that leave at once while others are computed; 0: all at the end."""
    command = [*mpirun, "-np", str(ranks), sys.executable, "-m", "caffe_acu.cli.main", "train"]
    command += ["--solver", "solver.prototxt", "--timing", _TIMING_FILE]
    return [*command, "--overlap", f"{overlap:g}"] if overlap else command


def train(folder: Path, command: Sequence[str], ranks: int, iterations: int, warm_up: int) -> Sample:
    """Trains in ``folder`` from the beginning, by a command of :func:`train_command`.

    UserError, with the trainer's last words, if that fails.
    """
    timing = folder / _TIMING_FILE
    timing.unlink(missing_ok=True)
    threads = str(_THREADS // ranks)
    environment = {
        **os.environ,
        **dict.fromkeys(("CAFFE_ACU_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), threads),
        # In a container one often is root, whom Open MPI refuses to serve, and may not read others' memory.
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_btl_vader_single_copy_mechanism": "none",
    }
    try:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    except FileNotFoundError:
        raise UserError(f"{command[0]} is not there: install MPI (scripts/setup.sh --mpi), or give --mpirun") from None
    if done.returncode != 0:
        raise UserError(f"{folder.name}, {ranks} ranks: failed ({done.returncode}): {last_words(done.stderr)}")
    return read_timing(timing, iterations, warm_up)


def read_timing(path: Path, iterations: int, warm_up: int) -> Sample:
    """Of the file that `--timing` writes, a line of JSON for each iteration that another one followed.

    The first ``warm_up`` do not count. UserError if it is not there, damaged, or has not as many iterations.
    """
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        values = [[float(line[name]) for name in _TIMING] for line in lines]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}: does this trainer know --timing?") from error
    except (ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{path}: damaged ({error!r}): a line of JSON with {', '.join(_TIMING)} was expected"
        ) from error
    if len(values) != iterations - 1:
        raise UserError(f"{path}: {len(values)} iterations, and not {iterations - 1}: was the training stopped?")
    if not all(math.isfinite(value) and value >= 0 for line in values for value in line):
        raise UserError(f"{path}: damaged (a time or a size that is none)")
    return Sample(*(median(column) for column in zip(*values[warm_up:], strict=True)))


def summary(case: Case, samples: Mapping[int, Sequence[Sample]]) -> dict[str, Any]:
    """A row of the result: of one rank and two, by round. A ratio is the median of the rounds' ratios."""
    one, two = (samples[ranks] for ranks in RANKS)
    ratios = [alone.seconds / together.seconds for alone, together in zip(one, two, strict=True)]
    size = case.network.data.source.crop_size
    return {
        "model": case.model,
        "batch": case.batch,
        "one_ms": 1e3 * median(sample.seconds for sample in one),
        "two_ms": 1e3 * median(sample.seconds for sample in two),
        "efficiency": median(ratios),
        "least": min(ratios),
        "most": max(ratios),
        "communication_ms": 1e3 * median(sample.communication for sample in two),
        "bytes": median(sample.sent for sample in two),
        "counted_bytes": VALUE_BYTES * gradient_of(case.network.train_val(), (3, size, size)).learned,
        "samples": {str(ranks): [vars(sample) for sample in of] for ranks, of in samples.items()},
    }
