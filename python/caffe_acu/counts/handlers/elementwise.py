"""Layers whose top is shaped as their bottom, those with learned factors, shifts and slopes among them."""

import math

from caffe_acu.active_layer import label
from caffe_acu.counts.handlers.registry import (
    LayerCount,
    Shape,
    axis_of,
    handles,
    require_axes,
    require_positive,
)
from caffe_acu.errors import UserError

_NOTHING_LEARNED = (
    *("AbsVal", "BNLL", "Clip", "Dropout", "ELU", "Exp", "LRN", "Log", "MVN", "Power", "ReLU", "Sigmoid"),
    *("Softmax", "Swish", "TanH", "Threshold"),
)


@handles(*_NOTHING_LEARNED, free=True)
def _same_shape(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms[:1])


@handles("BatchNorm", free=True)
def _batch_norm(layer, bottoms: list[Shape]) -> LayerCount:
    # Mean, variance and their weight are measured; what is learned stands in the Scale after it.
    return LayerCount(bottoms[:1], learned=(0, 0, 0))


@handles("Eltwise", bottoms=2, free=True)
def _eltwise(layer, bottoms: list[Shape]) -> LayerCount:
    if len(set(bottoms)) != 1:
        raise UserError(f"{label(layer)}: bottoms of shapes {bottoms} differ")
    return LayerCount(bottoms[:1])


@handles("Scale")
def _scale(layer, bottoms: list[Shape]) -> LayerCount:
    param = layer.scale_param
    if len(bottoms) > 1:  # the factor is the second bottom, only the shift is learned
        return LayerCount(bottoms[:1], learned=(math.prod(bottoms[1]),) * param.bias_term)
    return LayerCount(bottoms[:1], learned=(_values(layer, param, bottoms[0]),) * (1 + param.bias_term))


@handles("Bias")
def _bias(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms[:1], learned=() if len(bottoms) > 1 else (_values(layer, layer.bias_param, bottoms[0]),))


def _values(layer, param, shape: Shape) -> int:
    """Number of places along the axes that a Scale or Bias distinguishes."""
    if param.num_axes < -1:
        raise UserError(f"{label(layer)}: num_axes is {param.num_axes}; -1 stands for all that follow")
    first = axis_of(layer, shape, param.axis, max(param.num_axes, 1))
    return math.prod(shape[first:] if param.num_axes == -1 else shape[first : first + param.num_axes])


@handles("PReLU")
def _prelu(layer, bottoms: list[Shape]) -> LayerCount:
    require_axes(layer, bottoms[0], 2)
    return LayerCount(bottoms[:1], learned=(1 if layer.prelu_param.channel_shared else bottoms[0][1],))


@handles("Embed")
def _embed(layer, bottoms: list[Shape]) -> LayerCount:
    # A vector is looked up for every value; nothing is multiplied.
    param = layer.embed_param
    require_positive(layer, num_output=param.num_output, input_dim=param.input_dim)
    vectors = param.input_dim * param.num_output
    return LayerCount(
        [(*bottoms[0], param.num_output)], learned=(vectors, param.num_output) if param.bias_term else (vectors,)
    )


@handles("Parameter", bottoms=0)
def _parameter(layer, bottoms: list[Shape]) -> LayerCount:
    shape = tuple(layer.parameter_param.shape.dim)
    require_positive(layer, shape=min(shape, default=1))
    return LayerCount([shape], learned=(math.prod(shape),))
