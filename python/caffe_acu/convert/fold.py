"""Batch normalisation folded into the layer that it follows: what is affine for each channel is a factor and a bias.

In the test phase BatchNorm, with its stored statistics, Scale and Bias are each y = a x + b with an a and a b for
every channel. Behind a convolution (plain, active or transposed) or an inner product such a chain is a factor for the
weights of each output and another bias. All sums are in float64.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES, label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError

_CONVOLUTIONS = ("Convolution", "Deconvolution", *ACTIVE_TYPES)
_PRODUCT = "InnerProduct"

Blobs = Mapping[str, Sequence[np.ndarray]]


@dataclass(frozen=True)
class Fold:
    """What was folded into a layer."""

    layers: tuple[str, ...]  # in the order of the network
    bias_magnitude: np.ndarray  # (D,) sum of the absolute values of what the new bias is made of


@dataclass(frozen=True)
class FoldedNet:
    net: "caffe_pb2.NetParameter"
    blobs: Blobs  # float64 where a layer has changed
    folds: Mapping[str, Fold]  # by the name of the layer folded into


@dataclass(frozen=True)
class _Affine:
    """y = factor x + shift for each of D channels."""

    factor: np.ndarray
    shift: np.ndarray
    magnitude: np.ndarray  # of the shift: no less than its absolute value, however much of it cancels out

    def then(self, factor: np.ndarray, shift: np.ndarray) -> "_Affine":
        return _Affine(
            self.factor * factor, self.shift * factor + shift, self.magnitude * np.abs(factor) + np.abs(shift)
        )


def fold(net: "caffe_pb2.NetParameter", blobs: Blobs) -> FoldedNet:
    """Folds every chain of BatchNorm, Scale and Bias that follows a linear layer directly, in place or not.

    Where another layer reads what lies between, the chain ends before. It also ends at what is not one factor and
    one shift for each channel: two bottoms, other axes, statistics of the batch itself. The linear layer makes the
    blob that the last of the chain made; all other names stay. A layer that is folded into has a bias term, and its
    blobs are no longer those of the layers that it shared them with.

    ``net`` is in deploy form, ``blobs`` are those of its layers; neither is changed. UserError, with the layer's
    name, for a variance so far below 0 that the network itself would give NaN.
    """
    readers = _only_readers(net)
    folded, new_blobs, folds, gone = caffe_pb2.NetParameter(name=net.name), dict(blobs), {}, set()
    for place, layer in enumerate(net.layer):
        if place in gone:
            continue
        copy = folded.layer.add()
        copy.CopyFrom(layer)
        if not _is_linear(layer):
            continue
        weight, bias = blobs[layer.name][0].astype(np.float64), _bias(layer, blobs[layer.name])
        affine, chain, last = _Affine(np.ones(len(bias)), bias, np.abs(bias)), [], place
        while last in readers and (step := _step(net.layer[readers[last]], blobs, weight.ndim)):
            last = readers[last]
            affine = affine.then(*step)
            chain.append(last)
        if not chain:
            continue
        gone.update(chain)
        for folded_in in chain:
            new_blobs.pop(net.layer[folded_in].name)
        folds[layer.name] = Fold(tuple(net.layer[i].name for i in chain), affine.magnitude)
        copy.top[:] = net.layer[last].top
        param = copy.inner_product_param if layer.type == _PRODUCT else copy.convolution_param
        param.bias_term = True
        new_blobs[layer.name] = [_scaled(layer, weight, affine.factor), affine.shift, *blobs[layer.name][2:]]
    return FoldedNet(folded, new_blobs, folds)


def _only_readers(net: "caffe_pb2.NetParameter") -> dict[int, int]:
    """For each layer of one top the layer that alone reads it, before another writes in place, if there is one."""
    latest: dict[str, int] = {}
    readers = defaultdict(list)
    for place, layer in enumerate(net.layer):
        for bottom in layer.bottom:
            readers[latest[bottom]].append(place)
        latest.update(dict.fromkeys(layer.top, place))
    return {place: of[0] for place, of in readers.items() if len(of) == 1 and len(net.layer[place].top) == 1}


def _is_linear(layer: "caffe_pb2.LayerParameter") -> bool:
    """Whether its outputs are the second axis of its only top."""
    if len(layer.bottom) != 1 or len(layer.top) != 1:
        return False
    if layer.type == _PRODUCT:
        return layer.inner_product_param.axis == 1
    return layer.type in _CONVOLUTIONS and layer.convolution_param.axis == 1


def _bias(layer: "caffe_pb2.LayerParameter", blobs: Sequence[np.ndarray]) -> np.ndarray:
    param = layer.inner_product_param if layer.type == _PRODUCT else layer.convolution_param
    return blobs[1].astype(np.float64).ravel() if param.bias_term else np.zeros(param.num_output)


def _scaled(layer: "caffe_pb2.LayerParameter", weight: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """The weights with a factor for each output, on whatever axis the outputs lie."""
    if layer.type == "Deconvolution":  # (C, D / groups, kh, kw): the rows of a group make the outputs of that group
        groups = layer.convolution_param.group
        by_group = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
        factors = factor.reshape(groups, 1, -1, *[1] * (weight.ndim - 2))
        return (by_group * factors).reshape(weight.shape)
    if layer.type == _PRODUCT and layer.inner_product_param.transpose:
        return weight * factor
    return weight * factor.reshape(-1, *[1] * (weight.ndim - 1))


def _step(layer: "caffe_pb2.LayerParameter", blobs: Blobs, axes: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Factor and shift of each channel, behind a layer whose top has so many ``axes``; None if it is more than that."""
    if len(layer.bottom) != 1 or len(layer.top) != 1:
        return None
    own = [array.astype(np.float64) for array in blobs.get(layer.name, ())]
    if layer.type == "BatchNorm":
        param = layer.batch_norm_param
        if param.HasField("use_global_stats") and not param.use_global_stats:
            return None
        mean, variance, times = own
        unit = 1 / times.item() if times.item() else 0.0  # as Caffe has it: before any training, both are 0
        variance = variance * unit + param.eps
        if not (variance > 0).all():
            raise UserError(f"{label(layer)}: variance and eps of channel {(variance > 0).argmin()} are not above 0")
        return 1 / np.sqrt(variance), -mean * unit / np.sqrt(variance)
    if layer.type == "Scale" and _of_channels(layer.scale_param, axes):
        return own[0], own[1] if layer.scale_param.bias_term else np.zeros_like(own[0])
    if layer.type == "Bias" and _of_channels(layer.bias_param, axes):
        return np.ones_like(own[0]), own[0]
    return None


def _of_channels(param: "caffe_pb2.ScaleParameter | caffe_pb2.BiasParameter", axes: int) -> bool:
    return param.axis % axes == 1 and param.num_axes == 1
