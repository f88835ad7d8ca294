"""The residual networks of the CVPR paper, Table 3: basic blocks, 32 layers, and bottlenecks, 47.

Three stages of five blocks. The paper does not print the widths; these are those of the CIFAR networks of He et al.,
and give both networks "nearly the same" number of parameters, as the paper says.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets.builder import Acu, DataSource, Net
from caffe_acu.nets.preactivation import basic, bottleneck
from caffe_acu.nets.stages import places

_WIDTHS = (16, 32, 64)
_BLOCKS = 5


def basic_residual32(
    acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 10
) -> "caffe_pb2.NetParameter":
    """On 3x32x32 images; ``acu``: ACUs in place of all 30 convolutions of the blocks."""
    net = Net("basic_residual32_acu" if acu else "basic_residual32", source, (3, 32, 32))
    x = net.conv(net.data, "conv0", 16, 3)
    for place in places(len(_WIDTHS), _BLOCKS):
        x = basic(net, x, place.name, _WIDTHS[place.stage - 1], stride=place.stride, acu=acu)
    x = net.global_pool(net.bn_relu(x, "pool"))
    return net.classify(net.fc(x, "score", classes))


def bottleneck_residual47(
    acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 10
) -> "caffe_pb2.NetParameter":
    """On 3x32x32 images; ``acu``: ACUs in place of the 15 3x3 convolutions of the blocks."""
    net = Net("bottleneck_residual47_acu" if acu else "bottleneck_residual47", source, (3, 32, 32))
    x = net.conv(net.data, "conv0", 16, 3)
    for place in places(len(_WIDTHS), _BLOCKS):
        width = _WIDTHS[place.stage - 1]
        x = bottleneck(net, x, place.name, width, 4 * width, stride=place.stride, project=place.is_first, acu=acu)
    x = net.global_pool(net.bn_relu(x, "pool"))
    return net.classify(net.fc(x, "score", classes))
