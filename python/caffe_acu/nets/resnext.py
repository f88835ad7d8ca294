"""ResNeXt-29, 8x64d, and what Table 9 of the grouped paper makes of it: a depthwise ACU for the grouped convolution.

Three stages of post-activation bottlenecks, four times as wide in the middle as those of the 29-layer network.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import Top
from caffe_acu.nets.builder import Acu, DataSource, Net
from caffe_acu.nets.stages import places

_WIDTHS = (512, 1024, 2048)
_GROUPS = 8


def resnext(
    acu: Acu | None = None, *, blocks: int = 3, source: DataSource | None = None, classes: int = 10
) -> "caffe_pb2.NetParameter":
    """On 3x32x32 images, with 9 ``blocks`` + 2 layers.

    ``acu``: depthwise ACUs in place of the 3x3 convolutions of eight groups.
    """
    layers = 9 * blocks + 2
    net = Net(f"depthwise_acu{layers}" if acu else f"resnext{layers}_8x64d", source, (3, 32, 32))
    x = net.conv_bn_relu(net.data, "conv0", 64, 3)
    for place in places(len(_WIDTHS), blocks):
        width = _WIDTHS[place.stage - 1]
        x = _block(net, x, place.name, width, stride=place.stride, project=place.is_first, acu=acu)
    return net.classify(net.fc(net.global_pool(x), "score", classes))


def _block(net: Net, x: Top, name: str, width: int, *, stride: int, project: bool, acu: Acu | None) -> Top:
    outputs = width // 2
    y = net.conv_bn_relu(x, f"{name}_conv1", width, 1)
    group = width if acu else _GROUPS
    y = net.conv_bn_relu(y, f"{name}_conv2", width, 3, stride=stride, group=group, acu=acu)
    y = net.batch_norm(net.conv(y, f"{name}_conv3", outputs, 1), f"{name}_conv3")
    # Not normalised: with its BatchNorm the printed 16.13M and 27.37M would be 16.14M and 27.38M.
    shortcut = net.conv(x, f"{name}_project", outputs, 1, stride=stride) if project else x
    return net.relu(net.sum(f"{name}_sum", shortcut, y), f"{name}_sum")
