"""The filters of a layer of a trained network as one dense kernel, whether it is a convolution or an active one."""

import math
from pathlib import Path

import numpy as np

from caffe_acu.active_layer import ACONV_FAST, ACTIVE_TYPES, label, read_active_layer, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError, naming
from caffe_acu.kernels import DenseKernel, as_active, extrapolate, extrapolate_output_sets
from caffe_acu.net_param import blob_array, blob_shapes, read_net
from caffe_acu.positions import read_positions

_TYPES = ("Convolution", *ACTIVE_TYPES)


def layers_with_kernels(path: str | Path) -> list[str]:
    """Convolutions and active ones, larger than 1x1, in a caffemodel; in the order of the net.

    UserError if it cannot be read.
    """
    layers = [layer for layer in read_net(path).layer if _has_kernel(layer)]
    return [layer.name for layer in layers if math.prod(blob_shapes(layer)[0][0][2:]) > 1]


def read_kernel(path: str | Path, name: str) -> DenseKernel:
    """The weights of that layer of a caffemodel on the pixels that they act on (Theorem 2), in float64.

    UserError if there is no such layer, its blobs do not fit its description, or numbers in them are not finite.
    """
    found = [layer for layer in read_net(path).layer if layer.name == name and _has_kernel(layer)]
    if not found:
        there = ", ".join(layers_with_kernels(path)) or "none; a caffemodel has them"
        raise UserError(f"{path}: no convolution {name!r} with weights; there are {there}")
    (layer, *_) = found
    with naming(f"{path}: {label(layer)}"):
        return _dense(layer, path)


def _has_kernel(layer: "caffe_pb2.LayerParameter") -> bool:
    return layer.type in _TYPES and bool(layer.blobs) and len(blob_shapes(layer)[0][0]) == 4


def _dense(layer: "caffe_pb2.LayerParameter", path: str | Path) -> DenseKernel:
    weight = blob_array(layer.blobs[0]).astype(np.float64)
    if not np.isfinite(weight).all():
        raise UserError("weights that are not finite: the training diverged; take an earlier iteration")
    if layer.type not in ACTIVE_TYPES:
        dilation = read_spatial(layer).dilation
        active = as_active(weight, (dilation[0], dilation[1]))
        return extrapolate(active.weight, active.x, active.y, layer.convolution_param.group)
    positions = next(one for one in read_positions(path) if one.layer == layer.name)
    if layer.type == ACONV_FAST:
        return extrapolate_output_sets(weight, positions.x, positions.y)
    return extrapolate(weight, positions.x, positions.y, read_active_layer(layer).groups)
