"""Which convolutions of a network become active, and why the others do not."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from caffe_acu.active_layer import read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.graph import input_axes, input_channels, last_of_blocks
from caffe_acu.convert.options import Choice
from caffe_acu.errors import UserError
from caffe_acu.net_param import in_phase

CONVOLUTION = "Convolution"


@dataclass(frozen=True)
class Selection:
    """Names of convolutions in the order of the network; a layer that is described for each phase has one name."""

    chosen: list[str]
    left: dict[str, str]  # and why


def select(net: "caffe_pb2.NetParameter", choice: Choice) -> Selection:
    """Chooses among the layers of type Convolution; UserError if a pattern or the whole choice comes to nothing."""
    convolutions = {}
    for layer in net.layer:
        if layer.type == CONVOLUTION:
            convolutions.setdefault(layer.name, layer)
    if not convolutions:
        raise UserError(f"no layer of type {CONVOLUTION} in it")
    for pattern in (*choice.layers, *choice.excluded):
        if not any(fnmatchcase(name, pattern) for name in convolutions):
            raise UserError(f"no convolution is called {pattern!r}; there are {_some(list(convolutions))}")
    unfit = {}
    for layer, axes in zip(net.layer, input_axes(net), strict=True):
        if layer.type == CONVOLUTION:
            unfit[layer.name] = unfit.get(layer.name) or _cannot(layer, axes)
    suited = _suited(net, choice.which, {name for name in convolutions if not unfit[name]})
    left = {}
    for name in convolutions:
        reason = unfit[name] or _not_named(name, choice) or ("" if name in suited else _UNSUITED[choice.which])
        if reason:
            left[name] = reason
    chosen = [name for name in convolutions if name not in left]
    for pattern in choice.layers or ("*",):
        matched = [name for name in convolutions if fnmatchcase(name, pattern)]
        if not set(matched) & set(chosen):
            reasons = dict.fromkeys(left[name] for name in matched)
            raise UserError(f"nothing is chosen of {_some(matched)}: {'; '.join(reasons)}")
    return Selection(chosen, left)


_UNSUITED = {"depthwise": "not depthwise", "last-of-block": "not last in a block"}


def _suited(net: "caffe_pb2.NetParameter", which: str, fit: set[str]) -> set[str]:
    """The layers that --which lets in, whatever they are called; ``fit``: the convolutions that can be ACUs."""
    if which == "depthwise":
        read = zip(net.layer, input_channels(net), strict=True)
        return {layer.name for layer, channels in read if _depthwise(layer, channels)}
    if which == "last-of-block":
        suited = set()
        for phase in (caffe_pb2.TRAIN, caffe_pb2.TEST):
            layers = [layer for layer in net.layer if in_phase(layer, net.state, phase)]
            suited |= last_of_blocks(layers, lambda layer: layer.type == CONVOLUTION and layer.name in fit)
        return suited
    return {layer.name for layer in net.layer}


def _depthwise(layer: "caffe_pb2.LayerParameter", channels: int | None) -> bool:
    param = layer.convolution_param
    return param.group > 1 and param.group == (channels or param.num_output)


def _cannot(layer: "caffe_pb2.LayerParameter", axes: int | None) -> str:
    """Why a convolution cannot be an ACU, or nothing would be gained; empty if it can."""
    param = layer.convolution_param
    most = max(len(param.kernel_size), len(param.stride), len(param.pad), len(param.dilation))
    if most > 2 or axes not in (4, None):
        return "not two spatial axes"
    if param.axis != 1:
        return f"axis {param.axis}, where an ACU has 1"
    kernel = read_spatial(layer).kernel
    return "kernel 1x1" if max(kernel) == 1 else ""


def _not_named(name: str, choice: Choice) -> str:
    if choice.layers and not any(fnmatchcase(name, pattern) for pattern in choice.layers):
        return "not in --layers"
    return "in --except" if any(fnmatchcase(name, pattern) for pattern in choice.excluded) else ""


def _some(names: Sequence[str]) -> str:
    shown = 8
    return ", ".join(map(repr, names[:shown])) + (f" and {len(names) - shown} more" if len(names) > shown else "")
