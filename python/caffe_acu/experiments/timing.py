"""How long an iteration of the plain networks takes in real training, alone on the machine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.experiments.run import Run
from caffe_acu.experiments.training import Where, train
from caffe_acu.nets.builder import Acu, DataSource
from caffe_acu.nets.plain import plain
from caffe_acu.nets.schedules import CVPR_CIFAR

NETWORKS = ("plain", "plain_acu")
_STRETCHES = 10  # of iterations, each timed as a whole


def time_alone(
    out: Path, source: DataSource, iterations: int, where: Where, deadline: float | None = None
) -> dict[str, dict[str, float]] | None:
    """Quartiles of milliseconds per iteration of each of NETWORKS, trained one after the other; None if time is over.

    Data come from the LMDB, read ahead by Caffe. Nothing is tested or saved, and positions move from the start,
    so that synapses lie off the lattice. Caffe's own clock tells; the first stretch, which warms up, does not count.
    """
    times = {}
    for name, run in _runs(out, source, iterations):
        if not train([run], where, deadline):
            return None
        milliseconds = run.log().iteration_ms[1:]
        if not len(milliseconds):
            raise UserError(f"{run.log_path}: no iteration was timed: give more iterations")
        quartiles = np.quantile(milliseconds, [0.25, 0.5, 0.75]).tolist()
        times[name] = dict(zip(("lower_quartile", "median", "upper_quartile"), quartiles, strict=True))
    return times


def _runs(out: Path, source: DataSource, iterations: int) -> Iterator[tuple[str, Run]]:
    stretch = max(1, iterations // _STRETCHES)
    for name in NETWORKS:
        solver = CVPR_CIFAR.message()
        solver.ClearField("test_iter")
        solver.ClearField("test_interval")
        # Shown is the time before an iteration, so one more is run than is timed.
        solver.max_iter, solver.display, solver.snapshot = stretch * (_STRETCHES + 1) + 1, stretch, 0
        solver.snapshot_after_train = False
        net = plain(Acu(warmup_iter=0) if name == "plain_acu" else None, source=source)
        run = Run(name, out / name, solver.max_iter)
        run.write(_train_only(net), solver)
        yield name, run


def _train_only(net: "caffe_pb2.NetParameter") -> "caffe_pb2.NetParameter":
    training = caffe_pb2.NetParameter(name=net.name)
    for layer in net.layer:
        if not any(rule.phase == caffe_pb2.TEST for rule in layer.include):
            training.layer.add().CopyFrom(layer)
    return training
