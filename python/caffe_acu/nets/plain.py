"""The plain network of the CVPR paper, Table 1, and its variants on the poster.

Seven convolutions and one 1000-wide layer, batch normalisation and ReLU after each, no biases under it. ACUs in place
of all six 3x3 convolutions add 6 x 16 = 96 parameters.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import Top
from caffe_acu.nets.builder import Acu, DataSource, Net

ALL_STAGES = (1, 2, 3)


def plain(
    acu: Acu | None = None,
    *,
    acu_stages: tuple[int, ...] = ALL_STAGES,
    last_kernel: int = 3,
    last_dilation: int = 1,
    source: DataSource | None = None,
    classes: int = 10,
    bn_fraction: float | None = None,
) -> "caffe_pb2.NetParameter":
    """The network on 3x32x32 images.

    Args:
        acu: ACUs in place of the 3x3 convolutions; None: convolutions.
        acu_stages: stages conv1, conv2, conv3 that have them (poster, "C23": 2 and 3).
        last_kernel: kernel of the convolutions of stage conv3 (poster, "F5": 5).
        last_dilation: dilation of the same (poster, "D2": 2).
        source: LMDBs to train and test on; None: a deploy network, from ``data`` (1, 3, 32, 32) to ``prob``.
        classes: outputs of the last layer.
        bn_fraction: moving average fraction of the BatchNorm statistics (Caffe's default, 0.999, remembers
            about 1000 iterations, more than a short trial has).
    """
    net = Net("plain_acu" if acu else "plain", source, (3, 32, 32))

    def conv(x: Top, name: str, outputs: int, kernel: int, stride: int = 1, *, stage: int = 0) -> Top:
        x = net.conv(
            x,
            name,
            outputs,
            kernel,
            stride=stride,
            dilation=last_dilation if stage == 3 else 1,
            acu=acu if stage in acu_stages else None,
        )
        return net.bn_relu(x, name, moving_average_fraction=bn_fraction)

    x = conv(net.data, "conv0", 16, 1)
    x = conv(x, "conv1_1", 48, 3, stage=1)
    x = conv(x, "conv1_2", 48, 3, stage=1)
    x = conv(x, "conv2_1", 96, 3, stride=2, stage=2)
    x = conv(x, "conv2_2", 96, 3, stage=2)
    x = conv(x, "conv3_1", 192, last_kernel, stride=2, stage=3)
    x = conv(x, "conv3_2", 192, last_kernel, stage=3)
    x = conv(x, "fc1", 1000, 1)
    x = net.global_pool(x)
    return net.classify(net.conv(x, "score", classes, 1, bias=True))
