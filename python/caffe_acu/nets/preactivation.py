"""Pre-activation residual blocks (He et al., 2016), which both papers use: BN and ReLU before every convolution.

A projection shortcut reads the block's first BN and ReLU and is not normalised itself: with it the parameters of the
grouped paper's tables come out, with normalised ones they do not. ``bn_X``, ``scale_X`` and ``relu_X`` stand before X.
"""

from typing import Any

from caffe_acu.net_spec import Top
from caffe_acu.nets.builder import Net


def basic(net: Net, x: Top, name: str, width: int, *, stride: int = 1, **conv: Any) -> Top:
    """Two 3x3 convolutions; a projection if ``stride`` is not 1. ``conv``: of both, see :meth:`Net.conv`."""
    start = net.bn_relu(x, f"{name}_conv1", in_place=False)
    shortcut = x if stride == 1 else net.conv(start, f"{name}_project", width, 1, stride=stride)
    y = net.conv(start, f"{name}_conv1", width, 3, stride=stride, **conv)
    y = net.conv(net.bn_relu(y, f"{name}_conv2"), f"{name}_conv2", width, 3, **conv)
    return net.sum(f"{name}_sum", shortcut, y)


def bottleneck(
    net: Net,
    x: Top,
    name: str,
    width: int,
    outputs: int,
    *,
    stride: int = 1,
    project: bool = False,
    activated: bool = False,
    kernel: int = 3,
    **conv: Any,
) -> Top:
    """1x1 to ``width`` channels, the convolution that may be an ACU, 1x1 to ``outputs``.

    Args:
        project: whether a 1x1 convolution makes the shortcut.
        activated: x has just passed BN and ReLU, so the block does not begin with them.
        kernel, conv: of the middle convolution (``group``, ``dilation``, ``acu``), see :meth:`Net.conv`.
    """
    start = x if activated else net.bn_relu(x, f"{name}_conv1", in_place=False)
    shortcut = net.conv(start, f"{name}_project", outputs, 1, stride=stride) if project else x
    y = net.conv(start, f"{name}_conv1", width, 1)
    y = net.conv(net.bn_relu(y, f"{name}_conv2"), f"{name}_conv2", width, kernel, stride=stride, **conv)
    y = net.conv(net.bn_relu(y, f"{name}_conv3"), f"{name}_conv3", outputs, 1)
    return net.sum(f"{name}_sum", shortcut, y)
