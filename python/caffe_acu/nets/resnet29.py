"""The 29-layer residual network of the grouped paper, Table 10, and all that Tables 1 to 5 make of it.

Three stages of three pre-activation bottlenecks. The variants differ in the 3x3 convolution in the middle of every
bottleneck: its kernel, dilation, groups, and whether it is an ACU. Grouped variants are twice as wide there.
"""

from dataclasses import dataclass
from typing import Literal

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets.builder import Acu, DataSource, Net
from caffe_acu.nets.preactivation import bottleneck
from caffe_acu.nets.stages import places

_BLOCKS = 3
_WIDTHS = (32, 64, 128)
_OUTPUTS = (128, 256, 512)

Grouping = Literal["", "16x4d", "x4d", "x2d", "x1d"]
_CHANNELS_PER_GROUP = {"x4d": 4, "x2d": 2, "x1d": 1}  # in every stage; 16x4d has 16 groups instead


@dataclass(frozen=True)
class Middle:
    """The convolution in the middle of every bottleneck.

    Attributes:
        grouping: as in Table 3: "" is one group of widths 32, 64, 128; the others have widths 64, 128, 256, in 16
            groups (16x4d) or in groups of 4, 2 or 1 channels (x1d: depthwise).
        kernel: of all nine.
        last_dilation: of the three in the last stage.
        acu: an ACU instead.
    """

    grouping: Grouping = ""
    kernel: int = 3
    last_dilation: int = 1
    acu: Acu | None = None


def resnet29(
    middle: Middle = Middle(), *, source: DataSource | None = None, classes: int = 10
) -> "caffe_pb2.NetParameter":
    """On 3x32x32 images."""
    net = Net("resnet29", source, (3, 32, 32))
    x = net.conv(net.data, "conv0", 64, 3)
    for place in places(len(_WIDTHS), _BLOCKS):
        width = _WIDTHS[place.stage - 1] * (2 if middle.grouping else 1)
        x = bottleneck(
            net,
            x,
            place.name,
            width,
            _OUTPUTS[place.stage - 1],
            stride=place.stride,
            project=place.is_first,
            kernel=middle.kernel,
            group=_groups(middle.grouping, width),
            dilation=middle.last_dilation if place.stage == 3 else 1,
            acu=middle.acu,
        )
    x = net.global_pool(net.bn_relu(x, "pool"))
    return net.classify(net.fc(x, "score", classes))


def _groups(grouping: Grouping, width: int) -> int:
    if grouping in _CHANNELS_PER_GROUP:
        return width // _CHANNELS_PER_GROUP[grouping]
    return 16 if grouping else 1
