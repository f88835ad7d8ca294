"""A trained network's active layers as plain convolutions with the same outputs (Theorem 2), for any consumer.

Only fields of BVLC Caffe are left in the network: other parsers refuse those that they do not know.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf.message import Message

from caffe_acu.active_layer import ACTIVE_TYPES, ActiveLayer, label, read_active_layer, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.fold import Fold, FoldedNet, fold
from caffe_acu.convert.graph import unused
from caffe_acu.convert.layer_convolutions import LayerConvolutions, TooWide, layer_convolutions
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.errors import UserError, naming
from caffe_acu.trained_net import TrainedNet
from caffe_acu.wide_kernels import DilatedKernel

_BIAS = 1
_MADE_BY_FILLERS = ("dummy_data_param",)  # whose values are those of the fillers


@dataclass(frozen=True)
class ConvertedLayer:
    """A layer of the trained network that has become another, together with what was folded into it.

    Attributes:
        layer: as it was, of its own type, but for the bias term and the top that a fold gives it.
        blobs: of ``layer``, folded; float64 if so.
        fold: what was folded into it, or None.
        active: what it was, or None if it was no active layer.
        convolutions: what it is now, or None if it has kept its type.
        results: names of the layers of the converted network that stand for it.
    """

    layer: "caffe_pb2.LayerParameter"
    blobs: list[np.ndarray]
    fold: Fold | None
    active: ActiveLayer | None
    convolutions: LayerConvolutions | None
    results: tuple[str, ...]

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def replaced(self) -> tuple[str, ...]:
        """Layers of the trained network: the first reads what this one reads, the last makes what it makes."""
        return (self.name, *(self.fold.layers if self.fold else ()))


@dataclass(frozen=True)
class ConvertedNet:
    """A network with its weights, in the form of a TrainedNet.

    Attributes:
        net: without blobs, rates, fillers and fields of ours, except in layers that are ``kept``.
        blobs: for each layer that has any its arrays, float32.
        layers: those that are no longer as they were.
        kept: active layers that are still there.
    """

    net: "caffe_pb2.NetParameter"
    blobs: Mapping[str, list[np.ndarray]]
    layers: tuple[ConvertedLayer, ...]
    kept: tuple[str, ...]


def convert_to_convolutions(trained: TrainedNet, options: ConvolutionOptions = ConvolutionOptions()) -> ConvertedNet:
    """Every ACU, GroupedACU and AConvFast as a Convolution: outputs and the names of their blobs stay.

    For inputs of every size, borders included; groups stay groups. With ``options.fold`` batch normalisation is
    folded into the layers before it (:func:`caffe_acu.convert.fold.fold`), active or not. A network without active
    layers is no mistake. Nothing is checked by running it: see :func:`caffe_acu.convert.verify.verify`.

    UserError, with the layer's name: a kernel larger than ``options.max_kernel`` where ``options.wide`` is "refuse"
    or does not help; weights that a fold makes too large for single precision.
    """
    folded = fold(trained.net, trained.blobs) if options.fold else FoldedNet(trained.net, trained.blobs, {})
    taken = {name for layer in folded.net.layer for name in (layer.name, *layer.top)}
    net, blobs, converted, kept, too_wide = caffe_pb2.NetParameter(name=trained.net.name), {}, [], [], {}
    for layer in folded.net.layer:
        own, done = list(folded.blobs.get(layer.name, ())), folded.folds.get(layer.name)
        active = read_active_layer(layer) if layer.type in ACTIVE_TYPES else None
        convolutions = None
        if active:
            with naming(label(layer)):
                try:
                    convolutions = layer_convolutions(active, own, options)
                except TooWide as error:  # others are looked for, so that all are told at once
                    too_wide[layer.name] = f"{label(layer)}: {error}"
                    continue
            if not convolutions:
                kept.append(layer.name)
        made = _convolutions(layer, own, convolutions, taken) if convolutions else [(_copy(layer), own)]
        for new, arrays in made:
            net.layer.append(new)
            if arrays:
                blobs[new.name] = _single(label(layer), arrays)
        if convolutions or done:
            results = tuple(new.name for new, _ in made)
            converted.append(ConvertedLayer(layer, own, done, active, convolutions, results))
    if too_wide:
        first, *others = too_wide
        more = f"; so with {', '.join(others)}" if others else ""
        raise UserError(f"{too_wide[first]}{more}")
    _strip(net, _names_that_hold(net, blobs))
    return ConvertedNet(net, blobs, tuple(converted), tuple(kept))


def _copy(layer: "caffe_pb2.LayerParameter") -> "caffe_pb2.LayerParameter":
    copy = caffe_pb2.LayerParameter()
    copy.CopyFrom(layer)
    return copy


def _convolutions(
    layer: "caffe_pb2.LayerParameter", blobs: Sequence[np.ndarray], convolutions: LayerConvolutions, taken: set[str]
) -> list[tuple["caffe_pb2.LayerParameter", list[np.ndarray]]]:
    """The layers, with their blobs, that take the place of one; the last is called as it is."""
    has_bias = layer.convolution_param.bias_term
    bias = [blobs[_BIAS].ravel()] if has_bias else []
    if len(convolutions.kernels) == 1:
        (kernel,) = convolutions.kernels
        return [(_convolution(layer, layer.name, layer.top, kernel, has_bias), [kernel.weight, *bias])]
    made, summands = [], []
    for i, kernel in enumerate(convolutions.kernels):
        name = unused(f"{layer.name}_part{i + 1}", taken)
        tops = [name, *(unused(f"{name}_{top + 1}", taken) for top in range(1, len(layer.top)))]
        own = [] if i else bias  # adding it once is enough
        made.append((_convolution(layer, name, tops, kernel, bool(own)), [kernel.weight, *own]))
        summands.append(tops)
    for i, top in enumerate(layer.top):
        name = unused(f"{layer.name}_sum{i + 1}", taken) if i else layer.name
        total = caffe_pb2.LayerParameter(name=name, type="Eltwise", bottom=[tops[i] for tops in summands], top=[top])
        total.eltwise_param.operation = caffe_pb2.EltwiseParameter.SUM
        made.append((total, []))
    return made


def _convolution(
    layer: "caffe_pb2.LayerParameter", name: str, tops: Sequence[str], kernel: DilatedKernel, bias: bool
) -> "caffe_pb2.LayerParameter":
    made = caffe_pb2.LayerParameter(name=name, type="Convolution", bottom=layer.bottom, top=tops)
    made.param.extend(layer.param[: 1 + bias])
    param = made.convolution_param
    param.num_output = layer.convolution_param.num_output
    if not bias:
        param.bias_term = False
    height, width = kernel.weight.shape[2:]
    if height == width:
        param.kernel_size.append(height)
    else:
        param.kernel_h, param.kernel_w = height, width
    for field, pair, usual in (("pad", kernel.pad, 0), ("stride", read_spatial(layer).stride, 1)):
        if pair[0] != pair[1]:
            setattr(param, f"{field}_h", pair[0])
            setattr(param, f"{field}_w", pair[1])
        elif pair[0] != usual:
            getattr(param, field).append(pair[0])
    if kernel.dilation != (1, 1):
        param.dilation.extend(kernel.dilation)
    if kernel.groups > 1:
        param.group = kernel.groups
    return made


def _single(layer: str, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    with np.errstate(over="ignore"):
        single = [array.astype(np.float32, copy=False) for array in arrays]
    if not all(np.isfinite(array).all() for array in single):
        raise UserError(f"{layer}: weights that are too large for single precision")
    return single


def _names_that_hold(net: "caffe_pb2.NetParameter", blobs: Mapping[str, Sequence[np.ndarray]]) -> set[str]:
    """Names by which layers share parameters that still are the same values in all of them.

    Layers that share weights may have positions or batch normalisation of their own; then each needs a kernel of its
    own. What is shared of a layer is in the converted one at the same place, if anything is.
    """
    values = defaultdict(list)
    for layer in net.layer:
        for param, array in zip(layer.param, blobs.get(layer.name, ()), strict=False):
            values[param.name].append(array)
    return {name for name, arrays in values.items() if all(np.array_equal(arrays[0], other) for other in arrays[1:])}


def _strip(net: "caffe_pb2.NetParameter", names: set[str]) -> None:
    """Takes out what only training reads, and what no other parser knows."""
    for layer in net.layer:
        if layer.type not in ACTIVE_TYPES:
            layer.ClearField("acu_param")
            layer.ClearField("aconv_param")
        for param in layer.param:
            if param.name not in names:
                param.ClearField("name")
        if not any(param.name for param in layer.param):
            del layer.param[:]
        for field, value in layer.ListFields():
            if isinstance(value, Message) and field.name not in _MADE_BY_FILLERS:
                for inner, _ in value.ListFields():
                    if inner.message_type and inner.message_type.name == "FillerParameter":
                        value.ClearField(inner.name)
