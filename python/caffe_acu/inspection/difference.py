"""How far apart the synapses of two networks, or of one at two moments, are."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from caffe_acu.active_layer import ACONV_FAST
from caffe_acu.errors import UserError
from caffe_acu.layer_positions import LayerPositions

_SAME = 1e-3  # pixels, of starts


@dataclass(frozen=True)
class LayerDifference:
    """Of the second from the first, in pixels."""

    layer: str
    type: str
    dx: np.ndarray  # (sets, K) to the right
    dy: np.ndarray  # (sets, K) down
    free: np.ndarray  # (sets, K), true for every synapse that may move in one of them

    @cached_property
    def distance(self) -> np.ndarray:
        """(sets, K)"""
        return np.hypot(self.dx, self.dy)

    @property
    def mean(self) -> float:
        """Of free synapses, as all three."""
        return float(self._of_free.mean())

    @property
    def rms(self) -> float:
        return float(np.sqrt((self._of_free**2).mean()))

    @property
    def max(self) -> float:
        return float(self._of_free.max())

    @property
    def farthest(self) -> tuple[int, int]:
        """Set and synapse that are farthest apart."""
        s, k = np.unravel_index(np.argmax(self.distance * self.free), self.free.shape)
        return int(s), int(k)

    @property
    def _of_free(self) -> np.ndarray:
        return self.distance[self.free] if self.free.any() else np.zeros(1)


def differences(first: Sequence[LayerPositions], second: Sequence[LayerPositions]) -> list[LayerDifference]:
    """Synapse by synapse, in the order of the first.

    UserError if the layers, their sets or synapses are not the same ones, or if synapses stand in another order, as
    the authors' and ours do.
    """
    others = {layer.layer: layer for layer in second}
    names = {layer.layer for layer in first}
    for absent, where in ((names - set(others), "second"), (set(others) - names, "first")):
        if absent:
            raise UserError(f"ACU layer {min(absent)!r} is not in the {where}; give two networks with the same layers")
    return [_difference(layer, others[layer.layer]) for layer in first]


def _difference(first: LayerPositions, second: LayerPositions) -> LayerDifference:
    if first.x.shape != second.x.shape or first.kernel_size != second.kernel_size:
        raise UserError(
            f"layer {first.layer!r}: {_shape(first)} in the first, {_shape(second)} in the second; give two networks "
            "with the same layers"
        )
    if _another_order(first, second):
        raise UserError(
            f"layer {first.layer!r}: its synapses stand in another order in the second ({first.type}, {second.type}); "
            "convert the authors' with `caffe-acu convert ring-to-raster` first"
        )
    return LayerDifference(first.layer, first.type, second.x - first.x, second.y - first.y, first.free | second.free)


def _shape(layer: LayerPositions) -> str:
    return "{} set(s) of {}x{} synapses".format(len(layer.x), *layer.kernel_size)


def _another_order(first: LayerPositions, second: LayerPositions) -> bool:
    starts = [np.round(_start(layer) / _SAME) + 0.0 for layer in (first, second)]  # + 0.0: no -0
    if np.array_equal(*starts):
        return False
    same_points = np.array_equal(*(start[np.lexsort(start.T)] for start in starts))
    return same_points or (first.type == ACONV_FAST) != (second.type == ACONV_FAST)


def _start(layer: LayerPositions) -> np.ndarray:
    """(K, 2), of the first set."""
    return np.stack([np.atleast_2d(layer.start_x)[0], np.atleast_2d(layer.start_y)[0]], axis=-1)
