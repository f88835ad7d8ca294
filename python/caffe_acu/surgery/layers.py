"""The active layers of a network: which are meant, and the position blobs that they have in a caffemodel."""

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import blob_array, set_blob
from caffe_acu.surgery.distance import require_near

_BLOBS = 4
_XY = (2, 3)  # of them


def active_names(net: "caffe_pb2.NetParameter") -> list[str]:
    """A layer that is described for each phase has one name; UserError if there is none."""
    names = dict.fromkeys(layer.name for layer in net.layer if layer.type in ACTIVE_TYPES)
    if not names:
        raise UserError(f"no layer of type {' or '.join(ACTIVE_TYPES)} in it")
    return list(names)


def chosen(names: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """The names that meet one of the patterns, which have *, ? and [] as in a shell; without patterns all.

    UserError for a pattern that none meets.
    """
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UserError(f"no ACU layer is called {pattern!r}; {suggestion(pattern, names)}")
    return [name for name in names if not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)]


def suggestion(name: str, names: Collection[str]) -> str:
    """What a message about an unknown name ends with."""
    near, shown = get_close_matches(name, names, n=1), 8
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, list(names)[:shown]))}{more}"


def stored_layers(weights: "caffe_pb2.NetParameter") -> Mapping[str, "caffe_pb2.LayerParameter"]:
    """The active layers of a caffemodel by name; UserError if there is none, or one without its blobs."""
    found = {layer.name: layer for layer in weights.layer if layer.type in ACTIVE_TYPES}
    if not found:
        active_names(weights)
    for layer in found.values():
        if not layer.blobs:
            raise UserError(f"{label(layer)}: no weights in it, as in every prototxt; give a caffemodel")
        if len(layer.blobs) != _BLOBS:
            raise UserError(f"{label(layer)}: {len(layer.blobs)} blobs; weight, bias, x and y make {_BLOBS}")
    return found


def positions_of(layer: "caffe_pb2.LayerParameter") -> tuple[np.ndarray, np.ndarray]:
    """x and y (sets, K), in pixels, float64; UserError for other shapes, and for what is not finite or too far."""
    active = read_active_layer(layer)
    with naming(label(layer)):
        x, y = (blob_array(layer.blobs[i]) for i in _XY)
        if x.size != y.size or x.size != active.sets * active.synapses:
            raise UserError(
                f"positions of shapes {x.shape} and {y.shape}; {active.sets} set(s) of {active.synapses} synapses "
                "were expected"
            )
        x, y = (values.astype(np.float64).reshape(active.sets, active.synapses) for values in (x, y))
        require_near(x, y)
    return x, y


def set_positions(layer: "caffe_pb2.LayerParameter", x: np.ndarray, y: np.ndarray) -> None:
    """Gives the blobs these values, in their own shape and precision."""
    for i, values in zip(_XY, (x, y), strict=True):
        before = blob_array(layer.blobs[i])
        set_blob(layer.blobs[i], values.reshape(before.shape).astype(before.dtype))


def require_shared_alike(weights: "caffe_pb2.NetParameter") -> None:
    """UserError for layers that share positions by name, but hold others: Caffe would take those of the last."""
    first: dict[str, tuple[str, np.ndarray]] = {}
    for name, layer in stored_layers(weights).items():
        for i in _XY:
            shared = layer.param[i].name if len(layer.param) > i else ""
            values = blob_array(layer.blobs[i])
            owner, known = first.setdefault(shared, (name, values))
            if shared and not np.array_equal(values, known):
                raise UserError(f"layers {owner!r} and {name!r} share positions, and would get different ones")
