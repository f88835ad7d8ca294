"""The authors' layers (AConvFast, synapses in ring order) as our ACUs, in the raster order of a convolution.

Works on a prototxt and on a caffemodel alike: what a layer has of weights and positions is reordered with its
description. Outputs stay the same.
"""

import numpy as np

from caffe_acu.active_layer import ACONV_FAST, ACU, ActiveLayer, aconv_param, label, read_active_layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.listed_positions import list_positions
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, set_blob
from caffe_acu.start_shapes import lattice, ring

_WEIGHT, _BIAS, _X, _Y = range(4)


def ring_to_raster(net: "caffe_pb2.NetParameter") -> list[str]:
    """Turns every AConvFast layer of ``net`` into ours, in place; returns the names of those layers.

    Of one synapse, at the origin: an ordinary Convolution, which it is. With a ring that rounds to the 3x3
    lattice: an ACU of kernel 3x3. Any other shape: an ACU whose start positions are listed. UserError if there
    is no such layer, for several position sets (the authors' split the output channels, ours the input
    channels), and for an even kernel or one with less padding than reaches its centre, which no list of
    positions can express.
    """
    converted = []
    for layer in net.layer:
        if layer.type == ACONV_FAST:
            _convert(layer)
            converted.append(layer.name)
    if not converted:
        raise UserError(f"no layer of type {ACONV_FAST} in it: there is nothing to convert")
    return converted


def raster_order(kernel: tuple[int, int], start_x: np.ndarray, start_y: np.ndarray) -> np.ndarray | None:
    """For each raster index of the kernel the ring index that starts there, int (K,); None if some has none."""
    places = {place: i for i, place in enumerate(zip(start_x.tolist(), start_y.tolist(), strict=True))}
    order = [places.get(place) for place in zip(*(axis.tolist() for axis in lattice(kernel)), strict=True)]
    return None if None in order or len(places) != len(order) else np.array(order)


def _convert(layer: "caffe_pb2.LayerParameter") -> None:
    active = read_active_layer(layer)
    if active.sets > 1:
        raise UserError(
            f"{label(layer)}: {active.sets} position sets, each for a slice of the outputs: an ACU cannot "
            f"have them; keep the layer as {ACONV_FAST}, which runs as it is"
        )
    if layer.blobs and len(layer.blobs) != 4:
        raise UserError(f"{label(layer)}: {len(layer.blobs)} blobs; it has 4, weight, bias, x and y")
    if active.synapses == 1:
        _to_convolution(layer, active)
        return
    param = aconv_param(layer)
    # Whatever noise a layer started with, its place on the ring tells the lattice point that it belongs to.
    start = ring(active.synapses, param.base_radius, param.base_angle, rounded=True)
    order = raster_order(active.kernel, *start) if active.extent == active.kernel else None
    if order is None:
        list_positions(layer, active, active.start_x, active.start_y)
        order = np.arange(active.synapses)
    layer.type = ACU
    layer.acu_param.normalize_gradient = param.normalize
    if active.noise:
        layer.acu_param.position_noise = active.noise
    layer.ClearField("aconv_param")
    layer.ClearField("swish_param")  # where the authors' binaries keep their aconv_param
    _reorder_blobs(layer, active, order)


def _to_convolution(layer: "caffe_pb2.LayerParameter", active: ActiveLayer) -> None:
    bias = layer.convolution_param.bias_term
    if layer.blobs and any(blob_array(layer.blobs[i]).any() for i in (_X, _Y)):
        raise UserError(f"{label(layer)}: its only synapse is not at the origin, so it is no convolution")
    layer.type = "Convolution"
    layer.ClearField("aconv_param")
    layer.ClearField("swish_param")
    for field in ("pad", "pad_h", "pad_w"):
        layer.convolution_param.ClearField(field)
    pad = [p - c for p, c in zip(active.pad, active.centre, strict=True)]
    if any(pad):
        layer.convolution_param.pad.extend(pad)
    del layer.blobs[1 + bias :]
    del layer.param[1 + bias :]


def _reorder_blobs(layer: "caffe_pb2.LayerParameter", active: ActiveLayer, order: np.ndarray) -> None:
    if not layer.blobs:
        return
    listed = bool(layer.acu_param.position)
    kernel = (1, active.synapses) if listed else active.kernel
    for i in (_WEIGHT, _X, _Y):
        values = blob_array(layer.blobs[i])
        if values.shape[2:] != active.kernel:
            raise UserError(f"{label(layer)}: blob {i} has shape {values.shape}, not one of kernel {active.kernel}")
        flat = values.reshape(*values.shape[:2], active.synapses)[..., order]
        set_blob(layer.blobs[i], flat.reshape(*values.shape[:2], *kernel))
