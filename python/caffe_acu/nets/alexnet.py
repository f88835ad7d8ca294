"""AlexNet (Krizhevsky et al., 2012, as Caffe has it) for Table 4 of the CVPR paper.

The ACU version replaces the 3x3 convolutions, conv3 to conv5. The last two are split in two groups, each with a
position set of its own: five sets in all, 80 parameters. The 11x11 and 5x5 convolutions stay.
"""

from typing import Any

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import Top
from caffe_acu.net_spec import layers as L
from caffe_acu.nets.builder import Acu, DataSource, Filler, Net


def alexnet(
    acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 365
) -> "caffe_pb2.NetParameter":
    """On 3x227x227 images; ``acu``: ACUs in place of the 3x3 convolutions."""
    net = Net("alexnet_acu" if acu else "alexnet", source, (3, 227, 227))
    x = _conv(net, net.data, "conv1", 96, 11, stride=4, pad=0)
    x = net.max_pool(_norm(net, x, "norm1"), "pool1", 3, 2)
    x = _conv(net, x, "conv2", 256, 5, group=2, bias=0.1)
    x = net.max_pool(_norm(net, x, "norm2"), "pool2", 3, 2)
    x = _conv(net, x, "conv3", 384, 3, acu=acu)
    x = _conv(net, x, "conv4", 384, 3, group=2, bias=0.1, acu=acu)
    x = _conv(net, x, "conv5", 256, 3, group=2, bias=0.1, acu=acu)
    x = net.max_pool(x, "pool5", 3, 2)
    for name in ("fc6", "fc7"):
        x = net.relu(net.fc(x, name, 4096, _gaussian(0.005, 0.1), bias_lr_mult=2), name)
        x = net.add(f"drop_{name}", L.Dropout(x, in_place=True, dropout_ratio=0.5))
    return net.classify(net.fc(x, "fc8", classes, _gaussian(0.01), bias_lr_mult=2), top5=True)


def _conv(net: Net, x: Top, name: str, outputs: int, kernel: int, *, bias: float = 0, **conv: Any) -> Top:
    """Convolution and ReLU. ``bias``: at the start; ``conv``: see :meth:`Net.conv`."""
    filler = _gaussian(0.01, bias)
    return net.relu(net.conv(x, name, outputs, kernel, bias=True, filler=filler, bias_lr_mult=2, **conv), name)


def _norm(net: Net, x: Top, name: str) -> Top:
    return net.add(name, L.LRN(x, local_size=5, alpha=1e-4, beta=0.75))


def _gaussian(std: float, bias: float = 0) -> Filler:
    return Filler({"type": "gaussian", "std": std}, bias)
