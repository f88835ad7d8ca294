"""What a table will take: time, from a short timing of each network, memory and disk."""

import json
import math
import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from caffe_acu.active_layer import ACTIVE_TYPES, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.experiments.environment import describe_environment, hardware
from caffe_acu.experiments.run import caffe_program
from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.nets.model import Model
from caffe_acu.reproduce.prepare_run import batch_of_gpu
from caffe_acu.reproduce.scale import position_interval

TIMINGS = "timings.json"
_PASSES = 3  # of which the fastest counts: a machine may be busy with other things
_CPU_BATCHES = (2, 8)  # images; a full batch of ImageNet takes minutes
_FLOAT_BYTES = 4
_SNAPSHOTS = 3  # the last two while training, and one in writing; each of weights and, as large, momentum
_LOG_BYTES_PER_DISPLAY = 400
_BASE_MB = 700  # program, libraries, records that are read ahead
_GPU_BASE_MB = 4_000  # CUDA's libraries and its context
_TIMED = re.compile(r"forward-backward time: ([\d.e+]+) ms")


def time_networks(
    models: Sequence[Model], results: Path, gpu: int | None, threads: int, gpus_per_run: int = 1
) -> dict[str, float | None]:
    """Milliseconds of an iteration by the network's folder; None for one that cannot be timed here.

    `caffe time` runs a few passes forward and backward on random images; on the CPU on two small batches, from which
    the full one is extrapolated. Reading, the update and the tests are not in it, nor what ``gpus_per_run`` send each
    other: one is timed, with its part of the batch. What was measured stands in TIMINGS, with the hardware, and is not
    measured again, however the runs are scaled.
    """
    path = results / TIMINGS
    known = _read(path)
    device = f"GPU {gpu}, {hardware(describe_environment())}" if gpu is not None else _cpu(threads)
    if gpus_per_run > 1:
        device += f", one of {gpus_per_run}"
    of_device = known.setdefault(device, {})
    unknown = [model for model in models if model.folder not in of_device]
    for model in tqdm(unknown, desc="timing", unit="network", disable=None):
        milliseconds = _time(model, batch_of_gpu(model, gpus_per_run), gpu, threads)
        if milliseconds is not None:  # what fails may be that memory was short for a while
            of_device[model.folder] = milliseconds
    write_atomically(path, json.dumps(known, indent=2) + "\n")
    return {model.folder: of_device.get(model.folder) for model in models}


def _cpu(threads: int) -> str:
    return f"{describe_environment()['processor']}, {threads} threads"


def _read(path: Path) -> dict[str, dict[str, float]]:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def _time(model: Model, batch: int, gpu: int | None, threads: int) -> float | None:
    if gpu is not None:
        return _time_batch(model, batch, gpu, threads)
    few, more = (_time_batch(model, size, None, threads) for size in _CPU_BATCHES)
    if few is None or more is None:
        return None
    # What an image takes, and what a pass takes besides, which in AlexNet's large layers is much.
    of_image = max(0.0, more - few) / (_CPU_BATCHES[1] - _CPU_BATCHES[0])
    return more + (batch - _CPU_BATCHES[1]) * of_image


def _time_batch(model: Model, batch: int, gpu: int | None, threads: int) -> float | None:
    with tempfile.TemporaryDirectory() as folder:
        net = Path(folder) / "net.prototxt"
        net.write_text(format_prototxt(_on_random_images(model, batch)))
        command = [str(caffe_program()), "time", "--model", str(net), "--iterations", str(_PASSES)]
        if gpu is not None:
            command += ["--gpu", str(gpu)]
        environment = {
            **os.environ,
            "CAFFE_ACU_THREADS": str(threads),
            "GLOG_logtostderr": "1",
            "GLOG_minloglevel": "0",
        }
        answer = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    found = [float(milliseconds) for milliseconds in _TIMED.findall(answer.stderr)]
    return min(found) if answer.returncode == 0 and found else None


def _on_random_images(model: Model, batch: int) -> "caffe_pb2.NetParameter":
    net = caffe_pb2.NetParameter(name=model.name)
    images = net.layer.add(name="data", type="DummyData", top=["data", "label"])
    size = model.data.source.crop_size
    for shape, filler in (((batch, 3, size, size), "gaussian"), ((batch,), "constant")):
        images.dummy_data_param.shape.add().dim.extend(shape)
        images.dummy_data_param.data_filler.add(type=filler)
    net.layer.extend(layer for layer in model.train_val().layer if layer.type != "Data")
    return net


def memory_mb(model: Model, gpus: int) -> int:
    """Of the machine's memory, roughly: activations and their gradients, unless GPUs have those, and four times the
    parameters for each of them, or for the CPU."""
    if gpus:
        return _BASE_MB + gpus * (_GPU_BASE_MB + _FLOAT_BYTES * 4 * model.count.parameters // 10**6)
    in_place = ("ReLU", "Scale", "Dropout")
    values = sum(math.prod(row.top) for row in model.count.rows if row.type not in in_place)
    activations = 2 * values * model.data.source.train_batch
    return _BASE_MB + _FLOAT_BYTES * (activations + 4 * model.count.parameters) // 10**6


def disk_bytes(model: Model, max_iter: int, display: int) -> int:
    """That a training needs at most, for snapshots, its log and the positions."""
    return kept_bytes(model, max_iter, display) + 2 * (_SNAPSHOTS - 1) * _FLOAT_BYTES * model.count.parameters


def kept_bytes(model: Model, max_iter: int, display: int) -> int:
    """What of that stays when it is done: the last snapshot, the log, the positions."""
    snapshot = 2 * _FLOAT_BYTES * model.count.parameters
    return snapshot + _LOG_BYTES_PER_DISPLAY * (max_iter // display) + _position_bytes(model, max_iter)


def _position_bytes(model: Model, max_iter: int) -> int:
    """Of the solver's log, and of the npz that is made of it, of which compression saves little."""
    active = [read_active_layer(layer) for layer in model.deploy().layer if layer.type in ACTIVE_TYPES]
    values = sum(2 * layer.sets * layer.synapses for layer in active)
    records = -(-max_iter // position_interval(max_iter)) + 1  # the first and the last iteration among them
    return 2 * _FLOAT_BYTES * values * records
