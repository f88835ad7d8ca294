"""The learned shapes as arrays: from a caffemodel, a prototxt (start positions) or a series of snapshots."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, read_net

_X_BLOB, _Y_BLOB = 2, 3
_ITERATION = re.compile(r"_iter_(\d+)\.caffemodel$")


@dataclass(frozen=True)
class LayerPositions:
    """Positions of one layer, in input pixels: x = alpha to the right, y = beta downwards."""

    layer: str
    type: str
    x: np.ndarray  # (sets, K)
    y: np.ndarray  # (sets, K)
    start_x: np.ndarray  # (K,) without noise
    start_y: np.ndarray  # (K,)
    fixed: np.ndarray  # (sets,) index of the synapse that never moves, or -1
    warmup_iter: int

    @property
    def displacement(self) -> np.ndarray:
        """Distance of each synapse from its start, (sets, K)."""
        return np.hypot(self.x - self.start_x, self.y - self.start_y)

    @property
    def free(self) -> np.ndarray:
        """Which synapses may move, bool (sets, K)."""
        return np.arange(self.x.shape[1]) != self.fixed[:, None]

    @property
    def mean_displacement(self) -> float:
        """Over the free synapses; 0 where there is none."""
        return float(self.displacement[self.free].mean()) if self.free.any() else 0.0

    @property
    def max_displacement(self) -> float:
        return float(self.displacement.max())

    @property
    def mean_radius(self) -> float:
        """Mean distance of the free synapses from the origin; 0 where there is none."""
        return float(np.hypot(self.x, self.y)[self.free].mean()) if self.free.any() else 0.0


def read_positions(path: str | Path) -> list[LayerPositions]:
    """The ACU layers of a network, in its order; of a prototxt, which has no weights, where they start.

    Raises UserError if the file is no network or has no ACU layer.
    """
    net = read_net(path)
    found = [_of_layer(layer, path) for layer in net.layer if layer.type in ACTIVE_TYPES]
    if not found:
        raise UserError(f"{path}: no layer of type {' or '.join(ACTIVE_TYPES)} in it")
    return found


def _of_layer(layer: "caffe_pb2.LayerParameter", path: str | Path) -> LayerPositions:
    active = read_active_layer(layer)
    shape = (active.sets, active.synapses)
    if layer.blobs:
        if len(layer.blobs) <= _Y_BLOB:
            raise UserError(f"{path}: layer {layer.name!r} has {len(layer.blobs)} blobs; an ACU has 4")
        x, y = (blob_array(layer.blobs[i]).astype(np.float64) for i in (_X_BLOB, _Y_BLOB))
        if x.size != np.prod(shape) or y.size != x.size:
            raise UserError(f"{path}: layer {layer.name!r}: {x.size} positions, {shape[0]} x {shape[1]} expected")
        x, y = x.reshape(shape), y.reshape(shape)
    else:
        x, y = (np.tile(start, (active.sets, 1)) for start in (active.start_x, active.start_y))
    return LayerPositions(
        layer.name,
        layer.type,
        x,
        y,
        active.start_x,
        active.start_y,
        active.fixed(x, y),
        active.warmup_iter,
    )


def iteration_of(path: str | Path) -> int:
    """The iteration in the name of a snapshot, ``..._iter_<N>.caffemodel``; UserError if there is none."""
    match = _ITERATION.search(str(path))
    if not match:
        raise UserError(f"{path}: not named like a snapshot (..._iter_<number>.caffemodel)")
    return int(match[1])


@dataclass(frozen=True)
class PositionSeries:
    """Positions of a layer over the snapshots of a run."""

    layer: str
    iterations: np.ndarray  # (n,)
    x: np.ndarray  # (n, sets, K)
    y: np.ndarray  # (n, sets, K)
    fixed: np.ndarray  # (sets,)
    warmup_iter: int


def read_series(paths: Iterable[str | Path]) -> list[PositionSeries]:
    """The snapshots of one run, in any order; begins with the start positions as iteration 0."""
    snapshots = sorted((iteration_of(path), path) for path in paths)
    if not snapshots:
        raise UserError("no snapshots were given")
    read = [read_positions(path) for _, path in snapshots]
    iterations = np.array([0] + [iteration for iteration, _ in snapshots])
    series = []
    for layer in zip(*read, strict=True):
        if len({(positions.layer, positions.x.shape) for positions in layer}) != 1:
            raise UserError(f"{snapshots[0][1]} and the other snapshots are of different networks")
        first = layer[0]
        x0, y0 = (np.broadcast_to(start, first.x.shape) for start in (first.start_x, first.start_y))
        series.append(
            PositionSeries(
                first.layer,
                iterations,
                np.stack([x0, *(positions.x for positions in layer)]),
                np.stack([y0, *(positions.y for positions in layer)]),
                first.fixed,
                first.warmup_iter,
            )
        )
    return series
