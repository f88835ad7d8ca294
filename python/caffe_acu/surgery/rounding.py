"""Learned positions on a grid: with whole pixels ACU-Round of the poster."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.surgery.layers import positions_of, require_shared_alike, set_positions, stored_layers

_FINEST = 1e-6  # pixels: less is lost in single precision


@dataclass(frozen=True)
class Rounded:
    """What became of a layer, in pixels."""

    layer: str
    distance: np.ndarray  # (sets, K), by which each synapse has moved
    coinciding: list[tuple[int, int, int]]  # set, synapse, and the first of the set that sits at the same place


def round_positions(weights: "caffe_pb2.NetParameter", layers: Sequence[str], step: float = 1) -> list[Rounded]:
    """Rounds the positions of ``layers`` to multiples of ``step`` pixels, halves to even ones, in place.

    UserError for a step that is none, for positions that are not finite, and for a layer whose positions
    another shares that is not among them.
    """
    if not (math.isfinite(step) and step >= _FINEST):
        raise UserError(f"--step is {step}: it takes {_FINEST} pixels or more")
    stored = stored_layers(weights)
    rounded = [_round(stored[name], step) for name in layers]
    require_shared_alike(weights)
    return rounded


def _round(layer: "caffe_pb2.LayerParameter", step: float) -> Rounded:
    before = positions_of(layer)
    # Adding 0 turns -0 into 0.
    after = [np.rint(values / step) * step + 0.0 for values in before]
    set_positions(layer, *after)
    distance = np.hypot(*(new - old for new, old in zip(after, before, strict=True)))
    return Rounded(layer.name, distance, _coinciding(*after))


def _coinciding(x: np.ndarray, y: np.ndarray) -> list[tuple[int, int, int]]:
    found = []
    for s, places in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        first: dict[tuple[float, float], int] = {}
        for k, place in enumerate(zip(*places, strict=True)):
            if first.setdefault(place, k) != k:
                found.append((s, k, first[place]))
    return found
