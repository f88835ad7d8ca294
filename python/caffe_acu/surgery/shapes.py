"""Shapes of layers, which know nothing of the network that they are from."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.surgery.layers import suggestion


@dataclass(frozen=True)
class Shape:
    """Where the synapses of a layer are, in pixels of its input: x to the right, y down."""

    layer: str
    type: str  # one of ACTIVE_TYPES
    x: np.ndarray  # (sets, K) float64, as y
    y: np.ndarray


def by_layer(shapes: Sequence[Shape], layers: Collection[str]) -> dict[str, Shape]:
    """UserError if one of the ``layers`` has no shape."""
    known = {shape.layer: shape for shape in shapes}
    for name in layers:
        if name not in known:
            raise UserError(f"no positions for the network's layer {name!r}; {suggestion(name, known)}")
    return known


def renamed(shapes: Sequence[Shape], names: Mapping[str, str]) -> list[Shape]:
    """With other layer names, all at once; UserError for one that is not there, or would be there twice."""
    by_layer(shapes, names)
    taken: dict[str, str] = {}
    for shape in shapes:
        new = names.get(shape.layer, shape.layer)
        if new in taken:
            raise UserError(f"layers {taken[new]!r} and {shape.layer!r} would both be called {new!r}")
        taken[new] = shape.layer
    return [replace(shape, layer=names.get(shape.layer, shape.layer)) for shape in shapes]
