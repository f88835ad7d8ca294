"""Xception (Chollet, 2017) and Table 7 of the grouped paper: the last depthwise convolution of each block an ACU.

BatchNorm follows pointwise and ordinary convolutions only, nothing stands between a depthwise convolution and its
pointwise one. The two separable convolutions at the end are not in a residual block and stay as they are.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import Top
from caffe_acu.nets.builder import XAVIER, Acu, DataSource, Net

_ENTRY = (128, 256, 728)
_MIDDLE_BLOCKS = 8


def xception(
    acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 1000
) -> "caffe_pb2.NetParameter":
    """On 3x224x224 images; ``acu``: ACUs in place of the last depthwise convolution of the 12 residual blocks."""
    net = Net("xception_acu" if acu else "xception", source, (3, 224, 224))
    x = net.conv_bn_relu(net.data, "conv1", 32, 3, stride=2)
    x = net.conv_bn_relu(x, "conv2", 64, 3)
    channels = 64
    for block, width in enumerate(_ENTRY, 1):
        name = f"entry_block{block}"
        x = _downsampling(net, x, name, (channels, width, width), activated=block == 1, acu=acu)
        channels = width
    for block in range(1, _MIDDLE_BLOCKS + 1):
        x = _middle(net, x, f"middle_block{block}", channels, acu=acu)
    x = _downsampling(net, x, "exit_block1", (channels, channels, 1024), acu=acu)
    x = net.relu(_separable(net, x, "conv3", 1024, 1536), "conv3")
    x = net.relu(_separable(net, x, "conv4", 1536, 2048), "conv4")
    return net.classify(net.fc(net.global_pool(x), "score", classes, XAVIER), top5=True)


def _separable(net: Net, x: Top, name: str, channels: int, outputs: int, acu: Acu | None = None) -> Top:
    """Depthwise 3x3, pointwise, BatchNorm."""
    x = net.conv(x, f"{name}_depthwise", channels, 3, group=channels, acu=acu)
    return net.batch_norm(net.conv(x, f"{name}_pointwise", outputs, 1), f"{name}_pointwise")


def _downsampling(
    net: Net, x: Top, name: str, channels: tuple[int, int, int], *, activated: bool = False, acu: Acu | None
) -> Top:
    """Two separable convolutions, each after a ReLU, and pooling; beside them a projection.

    ``activated``: x has just passed a ReLU, so the block does not begin with one.
    """
    y = x if activated else net.relu(x, f"{name}_conv1", in_place=False)
    y = _separable(net, y, f"{name}_conv1", channels[0], channels[1])
    y = _separable(net, net.relu(y, f"{name}_conv2"), f"{name}_conv2", channels[1], channels[2], acu)
    y = net.max_pool(y, f"{name}_pool", 3, 2)
    project = net.conv(x, f"{name}_project", channels[2], 1, stride=2)
    return net.sum(f"{name}_sum", net.batch_norm(project, f"{name}_project"), y)


def _middle(net: Net, x: Top, name: str, channels: int, *, acu: Acu | None) -> Top:
    """Three separable convolutions, each after a ReLU."""
    y = net.relu(x, f"{name}_conv1", in_place=False)
    y = _separable(net, y, f"{name}_conv1", channels, channels)
    y = _separable(net, net.relu(y, f"{name}_conv2"), f"{name}_conv2", channels, channels)
    y = _separable(net, net.relu(y, f"{name}_conv3"), f"{name}_conv3", channels, channels, acu)
    return net.sum(f"{name}_sum", x, y)
