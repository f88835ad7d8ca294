"""One small function per layer type: the shapes of its tops, its parameters, its multiply-adds.

Conventions are those that reproduce the papers' printed counts (shared by both papers):
parameters are weights, biases of layers without batch normalisation, the Scale's factor and shift, and two
coordinates of every synapse but the fixed one; multiply-adds are the products of convolutions and inner
products and, for an ACU, 3 for each value it interpolates (equation 6 needs three once it is factorised), where
the fixed synapse on a pixel interpolates nothing.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from caffe_acu.active_layer import ACTIVE_TYPES, check_division, label, read_active_layer, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class LayerCount:
    """What a layer has and does for one image."""

    tops: list[Shape]
    parameters: int = 0
    multiply_adds: int = 0


Handler = Callable[["caffe_pb2.LayerParameter", list[Shape]], LayerCount]
HANDLERS: dict[str, Handler] = {}

INTERPOLATION_COST = 3  # multiplications for an interpolated value


def handles(*types: str) -> Callable[[Handler], Handler]:
    def register(handler: Handler) -> Handler:
        for type_ in types:
            HANDLERS[type_] = handler
        return handler

    return register


@handles("Input")
def _input(layer, bottoms: list[Shape]) -> LayerCount:
    shapes = [tuple(shape.dim) for shape in layer.input_param.shape]
    return LayerCount(shapes * len(layer.top) if len(shapes) == 1 else shapes)


@handles("ReLU", "BatchNorm", "Dropout", "Sigmoid", "TanH", "LRN", "Softmax", "Power", "Clip", "ELU")
def _same_shape(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms[:1])


@handles("SoftmaxWithLoss", "Accuracy", "Silence")
def _no_output(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount([()] * len(layer.top))


@handles("Split")
def _split(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount(bottoms[:1] * len(layer.top))


@handles("Eltwise")
def _eltwise(layer, bottoms: list[Shape]) -> LayerCount:
    if len(set(bottoms)) != 1:
        raise UserError(f"{label(layer)}: bottoms of shapes {bottoms} differ")
    return LayerCount(bottoms[:1])


@handles("Concat")
def _concat(layer, bottoms: list[Shape]) -> LayerCount:
    param = layer.concat_param
    axis = param.concat_dim if param.HasField("concat_dim") else param.axis
    shape = list(bottoms[0])
    shape[axis] = sum(bottom[axis] for bottom in bottoms)
    return LayerCount([tuple(shape)])


@handles("Flatten")
def _flatten(layer, bottoms: list[Shape]) -> LayerCount:
    return LayerCount([(bottoms[0][0], math.prod(bottoms[0][1:]))])


@handles("Scale")
def _scale(layer, bottoms: list[Shape]) -> LayerCount:
    param, shape = layer.scale_param, bottoms[0]
    if len(bottoms) == 2:  # the factor is the second bottom, only the shift is learned
        return LayerCount(bottoms[:1], parameters=math.prod(bottoms[1]) * param.bias_term)
    first = param.axis % len(shape)
    last = len(shape) if param.num_axes == -1 else first + param.num_axes
    return LayerCount(bottoms[:1], parameters=math.prod(shape[first:last]) * (1 + param.bias_term))


@handles("InnerProduct")
def _inner_product(layer, bottoms: list[Shape]) -> LayerCount:
    param, bottom = layer.inner_product_param, bottoms[0]
    axis = param.axis % len(bottom)
    weights = math.prod(bottom[axis:]) * param.num_output
    bias = param.num_output if param.bias_term else 0
    # The same product for every place along the axes between the batch and `axis`.
    return LayerCount([(*bottom[:axis], param.num_output)], weights + bias, weights * math.prod(bottom[1:axis]))


@handles("Convolution")
def _convolution(layer, bottoms: list[Shape]) -> LayerCount:
    spatial, param = read_spatial(layer), layer.convolution_param
    if min(spatial.kernel) < 1:
        raise UserError(f"{label(layer)}: convolution_param.kernel_size is missing")
    if bottoms[0][1] % param.group or param.num_output % param.group:
        raise UserError(
            f"{label(layer)}: {param.group} groups do not divide both {bottoms[0][1]} channels and "
            f"{param.num_output} outputs"
        )
    extent = tuple(d * (k - 1) + 1 for d, k in zip(spatial.dilation, spatial.kernel, strict=True))
    top = _convolved(layer, bottoms[0], extent, spatial.stride, spatial.pad)
    weights = param.num_output * bottoms[0][1] // param.group * math.prod(spatial.kernel)
    bias = param.num_output if param.bias_term else 0
    return LayerCount([top], weights + bias, weights * math.prod(top[2:]))


@handles(*ACTIVE_TYPES)
def _active(layer, bottoms: list[Shape]) -> LayerCount:
    active, param = read_active_layer(layer), layer.convolution_param
    channels = bottoms[0][1]
    check_division(layer, active, channels)
    top = _convolved(layer, bottoms[0], active.extent, active.stride, active.pad)
    area = math.prod(top[2:])
    weights = param.num_output * channels // active.groups * active.synapses
    bias = param.num_output if param.bias_term else 0
    # Each set has a fixed synapse of its own, unless it has none.
    fixed = (active.fixed(active.start_x[None], active.start_y[None]) >= 0).item()
    free = active.synapses - fixed
    # An input is interpolated once, whatever the groups and sets; but anew for each slice of the outputs.
    slices = active.sets if active.sets_slice_outputs else 1
    return LayerCount(
        [top],
        parameters=weights + bias + 2 * free * active.sets,
        multiply_adds=(weights + INTERPOLATION_COST * free * channels * slices) * area,
    )


@handles("Pooling")
def _pooling(layer, bottoms: list[Shape]) -> LayerCount:
    param = layer.pooling_param
    count, channels, height, width = bottoms[0]
    if param.global_pooling:
        return LayerCount([(count, channels, 1, 1)])
    sizes = []
    for size, axis in ((height, "h"), (width, "w")):
        kernel = getattr(param, f"kernel_{axis}") or param.kernel_size
        stride = getattr(param, f"stride_{axis}") or param.stride
        pad = getattr(param, f"pad_{axis}") or param.pad
        if kernel < 1 or stride < 1:
            raise UserError(f"{label(layer)}: kernel and stride must be at least 1, not {kernel} and {stride}")
        # Caffe rounds up (unless told otherwise), and drops a window that would start in the padding.
        rounded = math.floor if param.round_mode == caffe_pb2.PoolingParameter.FLOOR else math.ceil
        pooled = rounded((size + 2 * pad - kernel) / stride) + 1
        if pad and (pooled - 1) * stride >= size + pad:
            pooled -= 1
        if pooled < 1:
            raise UserError(f"{label(layer)}: its bottom, {bottoms[0]}, is smaller than its kernel")
        sizes.append(pooled)
    return LayerCount([(count, channels, *sizes)])


def _convolved(layer, bottom: Shape, extent, stride, pad) -> Shape:
    if min(stride) < 1:
        raise UserError(f"{label(layer)}: convolution_param.stride must be at least 1")
    sizes = [(n + 2 * p - e) // s + 1 for n, p, e, s in zip(bottom[2:], pad, extent, stride, strict=True)]
    if min(sizes) < 1:
        raise UserError(f"{label(layer)}: its bottom, {bottom}, is smaller than its kernel")
    return (bottom[0], layer.convolution_param.num_output, *sizes)
