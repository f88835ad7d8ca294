"""Layers that multiply with a learned matrix, wherever it lies: convolutions and inner products."""

import math

from caffe_acu.active_layer import label
from caffe_acu.counts.handlers.registry import LayerCount, Shape, axis_of, handles, require_positive
from caffe_acu.counts.handlers.windows import Window, convolved, read_window
from caffe_acu.errors import UserError


@handles("Convolution")
def _convolution(layer, bottoms: list[Shape]) -> LayerCount:
    window = read_window(layer, bottoms[0])
    size = convolved(layer, window.size, window.extent, window.spatial.stride, window.spatial.pad)
    return _at_every_place(layer, bottoms, window, size, places=math.prod(size))


@handles("Deconvolution")
def _deconvolution(layer, bottoms: list[Shape]) -> LayerCount:
    window = read_window(layer, bottoms[0])
    size = tuple(
        s * (n - 1) + e - 2 * p
        for n, p, e, s in zip(window.size, window.spatial.pad, window.extent, window.spatial.stride, strict=True)
    )
    if min(size, default=1) < 1:
        raise UserError(f"{label(layer)}: nothing is left of its top within the padding")
    # Every place of the bottom is spread over a window of the top.
    return _at_every_place(layer, bottoms, window, size, places=math.prod(window.size))


def _at_every_place(layer, bottoms: list[Shape], window: Window, size: Shape, places: int) -> LayerCount:
    param, channels, outputs = layer.convolution_param, window.channels, layer.convolution_param.num_output
    require_positive(layer, num_output=outputs, group=param.group)
    if channels % param.group or outputs % param.group:
        raise UserError(
            f"{label(layer)}: {param.group} groups do not divide both {channels} channels and {outputs} outputs"
        )
    if len(set(bottoms)) != 1:
        raise UserError(f"{label(layer)}: bottoms of shapes {bottoms} differ")
    weights = outputs * channels // param.group * math.prod(window.spatial.kernel)
    return LayerCount(
        tops=[(*window.batch, outputs, *size)] * len(bottoms),
        learned=(weights, outputs) if param.bias_term else (weights,),
        products=weights * places * math.prod(window.batch) * len(bottoms),
    )


@handles("InnerProduct")
def _inner_product(layer, bottoms: list[Shape]) -> LayerCount:
    param, bottom = layer.inner_product_param, bottoms[0]
    require_positive(layer, num_output=param.num_output)
    axis = axis_of(layer, bottom, param.axis)
    weights = math.prod(bottom[axis:]) * param.num_output
    return LayerCount(
        tops=[(*bottom[:axis], param.num_output)],
        learned=(weights, param.num_output) if param.bias_term else (weights,),
        products=weights * math.prod(bottom[:axis]),
    )
