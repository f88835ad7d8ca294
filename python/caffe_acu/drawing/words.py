"""What the drawing says about a layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from caffe_acu.active_layer import ACTIVE_TYPES, read_active_layer, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.start_shapes import Pair


class Kind(Enum):
    INPUT = "input"
    CONVOLUTION = "convolution"  # inner products too
    ACU = "acu"
    POOLING = "pooling"
    FUNCTION = "function"  # of single values, or nearly so
    OPERATOR = "operator"  # of several bottoms of one size
    CONCAT = "concat"
    OTHER = "other"
    OUTPUT = "output"


@dataclass(frozen=True)
class Words:
    """``title``: what the layer does; ``note``: what else there is to say, or nothing."""

    kind: Kind
    title: str
    note: str = ""


# Layers that a convolution's box takes in, and what it says of them.
FOLLOWERS = {
    "BatchNorm": "BN",
    "Scale": "scale",
    "Bias": "bias",
    "ReLU": "ReLU",
    "PReLU": "PReLU",
    "ELU": "ELU",
    "Swish": "swish",
    "Sigmoid": "sigmoid",
    "TanH": "tanh",
    "Clip": "clip",
    "Dropout": "dropout",
}
_OPERATORS = {
    caffe_pb2.EltwiseParameter.SUM: "+",
    caffe_pb2.EltwiseParameter.PROD: "×",
    caffe_pb2.EltwiseParameter.MAX: "max",
}
_POOLS = {
    caffe_pb2.PoolingParameter.MAX: "max",
    caffe_pb2.PoolingParameter.AVE: "average",
    caffe_pb2.PoolingParameter.STOCHASTIC: "stochastic",
}
_PLAIN_NAMES = {"Softmax": "softmax", "SoftmaxWithLoss": "softmax loss", "Flatten": "flatten"}


def followers(types: Sequence[str]) -> str:
    """Such as "BN ReLU", where Caffe needs a Scale to complete a BatchNorm."""
    words = [
        FOLLOWERS[type_]
        for i, type_ in enumerate(types)
        if not (type_ == "Scale" and i > 0 and types[i - 1] == "BatchNorm")
    ]
    return " ".join(words)


def describe(layer: "caffe_pb2.LayerParameter") -> Words:
    """UserError, with the layer's name, for a convolution or an ACU that makes no sense."""
    if layer.type in ACTIVE_TYPES:
        return _active(layer)
    if layer.type in ("Convolution", "Deconvolution"):
        return _convolution(layer)
    if layer.type == "InnerProduct":
        return Words(Kind.CONVOLUTION, f"fully connected, {layer.inner_product_param.num_output}")
    if layer.type == "Pooling":
        return Words(Kind.POOLING, _pooling(layer.pooling_param))
    if layer.type == "Eltwise":
        return Words(Kind.OPERATOR, _OPERATORS[layer.eltwise_param.operation])
    if layer.type in ("Scale", "Bias") and len(layer.bottom) == 2:
        return Words(Kind.OPERATOR, "×" if layer.type == "Scale" else "+")
    if layer.type == "Concat":
        return Words(Kind.CONCAT, "concat")
    if layer.type in FOLLOWERS:
        return Words(Kind.FUNCTION, FOLLOWERS[layer.type])
    if layer.type == "Accuracy":
        top = layer.accuracy_param.top_k
        return Words(Kind.OTHER, "accuracy" if top == 1 else f"top-{top} accuracy")
    if not layer.bottom:
        return Words(Kind.INPUT, layer.top[0] if layer.top else layer.name)
    return Words(Kind.OTHER, _PLAIN_NAMES.get(layer.type, layer.type))


def _convolution(layer: "caffe_pb2.LayerParameter") -> Words:
    spatial = read_spatial(layer)
    name = "conv" if layer.type == "Convolution" else "deconv"
    title = f"{_size(spatial.kernel)} {_outputs(layer, name, spatial.stride)}"
    return Words(Kind.CONVOLUTION, title, _groups_and_dilation(layer, spatial.dilation))


def _active(layer: "caffe_pb2.LayerParameter") -> Words:
    active = read_active_layer(layer)
    title = _outputs(layer, "ACU", active.stride)
    if not layer.acu_param.position:  # else the synapses are a list, not a lattice
        title = f"{_size(active.kernel)} {title}"
    sets = f"{_number(active.sets, 'set')} × {_number(active.synapses, 'synapse')}"
    height, width = read_spatial(layer).dilation
    scale = layer.acu_param.dilation
    return Words(Kind.ACU, title, _listed(sets, _groups_and_dilation(layer, (height * scale, width * scale))))


def _outputs(layer: "caffe_pb2.LayerParameter", name: str, stride: Pair) -> str:
    depthwise = "depthwise " if _is_depthwise(layer) else ""
    return f"{depthwise}{name}, {layer.convolution_param.num_output}{_by(stride)}"


def _is_depthwise(layer: "caffe_pb2.LayerParameter") -> bool:
    return layer.convolution_param.group == layer.convolution_param.num_output > 1


def _groups_and_dilation(layer: "caffe_pb2.LayerParameter", dilation: tuple[float, float]) -> str:
    group = layer.convolution_param.group
    return _listed(
        f"groups {group}" if group > 1 and not _is_depthwise(layer) else "",
        f"dilation {_once(dilation)}" if dilation != (1, 1) else "",
    )


def _pooling(param: "caffe_pb2.PoolingParameter") -> str:
    kind = f"{_POOLS[param.pool]} pool"
    if param.global_pooling:
        return f"global {kind}"
    kernel = (param.kernel_h or param.kernel_size, param.kernel_w or param.kernel_size)
    stride = (param.stride_h or param.stride, param.stride_w or param.stride)
    return f"{_size(kernel)} {kind}{_by(stride)}"


def _by(stride: Pair) -> str:
    return "" if stride == (1, 1) else f" /{_once(stride)}"


def _size(pair: tuple[float, float]) -> str:
    return f"{pair[0]:g}×{pair[1]:g}"


def _once(pair: tuple[float, float]) -> str:
    return f"{pair[0]:g}" if pair[0] == pair[1] else _size(pair)


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _listed(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
