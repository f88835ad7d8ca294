"""ResNet26 of the CVPR paper, Table 4: an 18-layer residual network with bottlenecks in place of basic blocks."""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets.builder import Acu, DataSource, Net
from caffe_acu.nets.preactivation import bottleneck
from caffe_acu.nets.stages import places

_WIDTHS = (64, 128, 256, 512)
_BLOCKS = 2


def resnet26(
    acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 365
) -> "caffe_pb2.NetParameter":
    """On 3x224x224 images; ``acu``: ACUs in place of the 3x3 convolutions of the eight blocks."""
    net = Net("resnet26_acu" if acu else "resnet26", source, (3, 224, 224))
    x = net.conv_bn_relu(net.data, "conv1", 64, 7, stride=2)
    x = net.max_pool(x, "pool1", 3, 2)
    for place in places(len(_WIDTHS), _BLOCKS):
        width = _WIDTHS[place.stage - 1]
        x = bottleneck(
            net,
            x,
            place.name,
            width,
            4 * width,
            stride=place.stride,
            project=place.is_first,
            activated=place.stage == 1 and place.is_first,
            acu=acu,
        )
    x = net.global_pool(net.bn_relu(x, "pool"))
    return net.classify(net.fc(x, "score", classes), top5=True)
