"""Networks whose positions no longer learn: what trains from learned shapes, as ACU-Fixed and ACU-Round do."""

from collections.abc import Sequence

from caffe_acu.active_layer import ACONV_FAST, ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError

_WEIGHT, _BIAS, _X, _Y = range(4)


def freeze(net: "caffe_pb2.NetParameter", layers: Sequence[str]) -> None:
    """Fixes the positions of ``layers``, in place, in every phase that describes them.

    Their rate and decay become 0, and an ACU is told so, which spares their gradient; the authors' dialect has the
    rates alone. UserError if a layer that shares its positions would go on to move them.
    """
    frozen = [layer for layer in net.layer if layer.type in ACTIVE_TYPES and layer.name in layers]
    for layer in frozen:
        _freeze(layer)
    names = {param.name for layer in frozen for param in layer.param[_X:] if param.name}
    for layer in net.layer:
        if layer.name not in layers and any(param.name in names for param in layer.param):
            raise UserError(
                f"layer {layer.name!r} shares the positions of a frozen one, and would move them; freeze both"
            )


def _freeze(layer: "caffe_pb2.LayerParameter") -> None:
    while len(layer.param) <= _Y:
        added = layer.param.add()
        if len(layer.param) == _BIAS + 1 and not layer.convolution_param.bias_term:
            added.lr_mult = added.decay_mult = 0  # a zero, which stays one
    for param in layer.param[_X:]:
        param.lr_mult = param.decay_mult = 0
    if layer.type != ACONV_FAST:
        layer.acu_param.learn_positions = False
        layer.acu_param.ClearField("warmup_iter")
