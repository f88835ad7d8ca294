"""MobileNet v2 (Sandler et al., 2018) at four widths, and Table 8 of the grouped paper: depthwise ACUs.

The rounding of widths is what reproduces all 16 printed counts: every one is rounded down, the first and the last
convolution are scaled too, and the first bottleneck has a 1x1 convolution before its depthwise one although it does
not widen. ReLU stands for ReLU6, which Caffe has not.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import Top
from caffe_acu.nets.builder import XAVIER, Acu, DataSource, Net

# Expansion, outputs, repetitions, stride of the first.
_STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
_FIRST, _LAST = 32, 1280
WIDTHS = (8, 10, 12, 14)  # tenths: x0.8, x1.0, x1.2, x1.4


def mobilenet_v2(
    width: int, acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 1000
) -> "caffe_pb2.NetParameter":
    """On 3x224x224 images.

    Args:
        width: the width multiplier in tenths, an integer because widths are rounded down.
        acu: depthwise ACUs in place of the 17 depthwise convolutions.
    """

    def scaled(channels: int) -> int:
        return channels * width // 10

    net = Net(f"mobilenet_v2_{width / 10}{'_acu' if acu else ''}", source, (3, 224, 224))
    channels = scaled(_FIRST)
    x = net.conv_bn_relu(net.data, "conv1", channels, 3, stride=2)
    for stage, (expansion, outputs, blocks, stride) in enumerate(_STAGES, 1):
        for block in range(1, blocks + 1):
            name = f"stage{stage}_block{block}"
            y = _inverted(net, x, name, expansion * channels, scaled(outputs), stride if block == 1 else 1, acu)
            x = net.sum(f"{name}_sum", x, y) if block > 1 else y
            channels = scaled(outputs)
    x = net.conv_bn_relu(x, "conv2", scaled(_LAST), 1)
    return net.classify(net.fc(net.global_pool(x), "score", classes, XAVIER), top5=True)


def _inverted(net: Net, x: Top, name: str, hidden: int, outputs: int, stride: int, acu: Acu | None) -> Top:
    """1x1 to ``hidden`` channels, depthwise 3x3, 1x1 without ReLU."""
    x = net.conv_bn_relu(x, f"{name}_expand", hidden, 1)
    x = net.conv_bn_relu(x, f"{name}_depthwise", hidden, 3, stride=stride, group=hidden, acu=acu)
    return net.batch_norm(net.conv(x, f"{name}_project", outputs, 1), f"{name}_project")
