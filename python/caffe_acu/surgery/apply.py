"""Positions out of one network into another: ACU-Fixed of the grouped paper (section 4.2) trains with such."""

from collections.abc import Sequence

import numpy as np

from caffe_acu.active_layer import ACONV_FAST, label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.surgery.layers import (
    active_names,
    chosen,
    positions_of,
    require_shared_alike,
    set_positions,
    stored_layers,
    suggestion,
)
from caffe_acu.surgery.shapes import Shape, by_layer


def apply_shapes(
    weights: "caffe_pb2.NetParameter", shapes: Sequence[Shape], patterns: Sequence[str] = (), partial: bool = False
) -> list[str]:
    """Gives layers of a caffemodel the shapes of the same names, in place; returns the names of these layers.

    One position set is spread over all that a layer has.

    Args:
        patterns: of the layers that are meant, and whose shapes are; none: all of both.
        partial: pass over what only one of both has.

    UserError for a layer without a shape, a shape without a layer, other numbers of sets or synapses, and
    layers that share positions and would get different ones.
    """
    stored = stored_layers(weights)
    layers = chosen(active_names(weights), patterns)
    known = {shape.layer: shape for shape in shapes} if partial else by_layer(shapes, layers)
    unknown = [name for name in known if name not in stored]
    if unknown and not partial and not patterns:
        raise UserError(f"the network has no ACU layer {unknown[0]!r}; {suggestion(unknown[0], layers)}")
    took = [name for name in layers if name in known]
    if not took:
        raise UserError(f"no positions for any layer of the network; {suggestion(layers[0], known)}")
    for name in took:
        _apply(stored[name], known[name])
    require_shared_alike(weights)
    return took


def _apply(layer: "caffe_pb2.LayerParameter", shape: Shape) -> None:
    if (layer.type == ACONV_FAST) != (shape.type == ACONV_FAST):
        raise UserError(
            f"{label(layer)}: its synapses stand in another order than those of type {shape.type}; convert the "
            "authors' with `caffe-acu convert ring-to-raster` first"
        )
    there = positions_of(layer)[0].shape
    sets, synapses = shape.x.shape
    if synapses != there[1] or sets not in (1, there[0]):
        raise UserError(
            f"{label(layer)}: positions of {sets} set(s) of {synapses} synapses; the network's are {there[0]} of "
            f"{there[1]}"
        )
    set_positions(layer, *(np.broadcast_to(values, there) for values in (shape.x, shape.y)))
