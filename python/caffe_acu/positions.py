"""The shapes that active convolutions start from and learn, as arrays, from files of Caffe.

Coordinates are input pixels: x = alpha to the right, y = beta down, from the base point of the convolution.
Arrays are float64, (sets, K): a row for each position set of the layer, a column for each synapse.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, ActiveLayer, check_division, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, read_net

_WEIGHT_BLOB, _X_BLOB, _Y_BLOB, _BLOBS = 0, 2, 3, 4  # 1: bias


@dataclass(frozen=True)
class LayerPositions:
    """Where the synapses of a layer are, and where they started."""

    layer: str
    type: str  # one of ACTIVE_TYPES
    x: np.ndarray  # (sets, K)
    y: np.ndarray  # (sets, K)
    # From a net: (K,), the same for every set, without the noise a layer may add. From a series: (sets, K).
    start_x: np.ndarray
    start_y: np.ndarray
    fixed: np.ndarray  # (sets,) index of the synapse that never moves, or -1
    kernel_size: tuple[int, int]  # height, width
    warmup_iter: int = 0  # as far as the file tells: the authors' files do not

    @property
    def free(self) -> np.ndarray:
        """(sets, K), true for every synapse that may move."""
        return np.arange(self.x.shape[1]) != self.fixed[:, None]

    @property
    def displacement(self) -> np.ndarray:
        """(sets, K) distance from the start, in pixels."""
        return np.hypot(self.x - self.start_x, self.y - self.start_y)

    @property
    def radius(self) -> np.ndarray:
        """(sets, K) distance from the base point, in pixels."""
        return np.hypot(self.x, self.y)

    @property
    def mean_displacement(self) -> float:
        return self._over_free(np.mean, self.displacement)

    @property
    def max_displacement(self) -> float:
        return self._over_free(np.max, self.displacement)

    @property
    def mean_radius(self) -> float:
        """Mean distance from the base point; a 3x3 lattice has (4 + 4 sqrt 2) / 8 = 1.207."""
        return self._over_free(np.mean, self.radius)

    def _over_free(self, statistic, values: np.ndarray) -> float:
        return float(statistic(values[self.free])) if self.free.any() else 0.0


@dataclass(frozen=True)
class LayerSeries:
    """The positions of a layer at T moments of one run: its snapshots, or the records of its position log."""

    layer: str
    type: str  # one of ACTIVE_TYPES
    iterations: np.ndarray  # (T,) ascending
    x: np.ndarray  # (T, sets, K)
    y: np.ndarray  # (T, sets, K)
    fixed: np.ndarray  # (sets,), as in the last moment
    kernel_size: tuple[int, int]  # height, width
    warmup_iter: int

    @property
    def last(self) -> LayerPositions:
        """The last moment, with the first as its start."""
        return LayerPositions(
            layer=self.layer,
            type=self.type,
            x=self.x[-1],
            y=self.y[-1],
            start_x=self.x[0],
            start_y=self.y[0],
            fixed=self.fixed,
            kernel_size=self.kernel_size,
            warmup_iter=self.warmup_iter,
        )


def read_positions(path: str | Path) -> list[LayerPositions]:
    """The active layers of a prototxt or a caffemodel, in the order of the net.

    Where a layer has no blobs, as in every prototxt, its positions are those it would start from (one set
    of them for each position set, without noise). UserError if the file cannot be read or has none.
    """
    net = read_net(path)
    found = {}
    for layer in net.layer:
        if layer.type in ACTIVE_TYPES:
            # A train_val may describe a layer once for each phase; the shapes are the same.
            found.setdefault(layer.name, _layer_positions(layer, path))
    if not found:
        raise UserError(f"{path}: no layer of type {' or '.join(ACTIVE_TYPES)} in it")
    return list(found.values())


def read_series(paths: Iterable[str | Path]) -> list[LayerSeries]:
    """The movement of each layer over snapshots, which are sorted by the N of ``_iter_N.caffemodel``."""
    by_iteration: dict[int, Path] = {}
    for path in map(Path, paths):
        iteration = iteration_of(path)
        if iteration in by_iteration:
            raise UserError(f"{path}: iteration {iteration} is that of {by_iteration[iteration]} too")
        by_iteration[iteration] = path
    iterations = sorted(by_iteration)
    snapshots = [read_positions(by_iteration[iteration]) for iteration in iterations]
    for iteration, layers in zip(iterations, snapshots, strict=True):
        if _layout(layers) != _layout(snapshots[0]):
            raise UserError(
                f"{by_iteration[iteration]}: its active layers are not those of {by_iteration[iterations[0]]}"
            )
    return [
        LayerSeries(
            layer=history[-1].layer,
            type=history[-1].type,
            iterations=np.array(iterations),
            x=np.stack([moment.x for moment in history]),
            y=np.stack([moment.y for moment in history]),
            fixed=history[-1].fixed,
            kernel_size=history[-1].kernel_size,
            warmup_iter=history[-1].warmup_iter,
        )
        for history in zip(*snapshots, strict=True)
    ]


def iteration_of(path: str | Path) -> int:
    """The N of a snapshot's name ``<prefix>_iter_N.caffemodel``."""
    match = re.search(r"_iter_(\d+)\.caffemodel$", Path(path).name)
    if not match:
        raise UserError(f"{path}: not named as a snapshot, <prefix>_iter_<N>.caffemodel, so its iteration is unknown")
    return int(match[1])


def _layout(layers: list[LayerPositions]) -> list[tuple[str, tuple[int, ...]]]:
    return [(positions.layer, positions.x.shape) for positions in layers]


def _layer_positions(layer: "caffe_pb2.LayerParameter", path: str | Path) -> LayerPositions:
    description = read_active_layer(layer)
    x = np.tile(description.start_x, (description.sets, 1))
    y = np.tile(description.start_y, (description.sets, 1))
    if layer.blobs:
        x, y = _stored_positions(layer, description, path)
    return LayerPositions(
        layer=layer.name,
        type=layer.type,
        x=x,
        y=y,
        start_x=description.start_x,
        start_y=description.start_y,
        fixed=description.fixed(x, y),
        kernel_size=description.kernel,
        warmup_iter=description.warmup_iter,
    )


def _stored_positions(
    layer: "caffe_pb2.LayerParameter", description: ActiveLayer, path: str | Path
) -> tuple[np.ndarray, np.ndarray]:
    shape = (description.sets, description.synapses)
    if len(layer.blobs) != _BLOBS:
        raise UserError(f"{path}: {label(layer)} has {len(layer.blobs)} blobs; weight, bias, x and y make {_BLOBS}")
    x, y = (blob_array(layer.blobs[index]).astype(np.float64) for index in (_X_BLOB, _Y_BLOB))
    if x.size != y.size or x.size != shape[0] * shape[1]:
        raise UserError(
            f"{path}: {label(layer)} has position blobs of shapes {x.shape} and {y.shape}; "
            f"{shape[0]} set(s) of {shape[1]} synapses were expected"
        )
    weight = blob_array(layer.blobs[_WEIGHT_BLOB])
    if weight.ndim == 4:  # the number of channels stands nowhere else
        try:
            check_division(layer, description, weight.shape[1] * description.groups)
        except UserError as error:
            raise UserError(f"{path}: {error}") from error
    return x.reshape(shape), y.reshape(shape)
