"""Active convolutions whose start is written down position by position (``acu_param.position``)."""

import numpy as np

from caffe_acu.active_layer import ActiveLayer, label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError


def list_positions(layer: "caffe_pb2.LayerParameter", active: ActiveLayer, x: np.ndarray, y: np.ndarray) -> None:
    """Lets the layer, in place, start at x and y (K,), in pixels; geometry and output size stay.

    ``active``: what it is as yet. Its type, and the shapes of its blobs, are left to the caller: kernels become 1 x K.
    UserError for an even kernel, or one with less padding than reaches its centre, which has no counterpart.
    """
    pad = [p - c for p, c in zip(active.pad, active.centre, strict=True)]
    if min(pad) < 0 or any(e != 2 * c + 1 for e, c in zip(active.extent, active.centre, strict=True)):
        raise UserError(
            f"{label(layer)}: a kernel of {active.kernel} with pad {active.pad} has no counterpart with listed "
            "positions, which pad as a 1x1 kernel"
        )
    conv = layer.convolution_param
    for field in ("kernel_size", "kernel_h", "kernel_w", "pad", "pad_h", "pad_w", "dilation"):
        conv.ClearField(field)
    conv.pad.extend(pad)
    del layer.acu_param.position[:]
    for alpha, beta in zip(x, y, strict=True):
        layer.acu_param.position.add(x=alpha, y=beta)
