"""The plain network of the CVPR paper, Table 1: seven convolutions with ReLU and one 1000-wide layer.

Batch normalisation before every ReLU, no biases under it. The ACU version replaces all six 3x3
convolutions, which adds 6 x 16 = 96 parameters.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets.builder import Acu, DataSource, Net

PAPER_ITERATIONS = 64_000  # section 3.1
WARMUP_ITER = 10_000  # section 2.6
CIFAR10 = DataSource("data/cifar10/lmdb/train_lmdb", "data/cifar10/lmdb/test_lmdb", 64, 100, 32)


def plain(
    acu: Acu | None = None,
    *,
    source: DataSource | None = None,
    classes: int = 10,
    bn_fraction: float | None = None,
) -> "caffe_pb2.NetParameter":
    """The network on 3x32x32 images.

    Args:
        acu: ACUs in place of the 3x3 convolutions; None: convolutions.
        source: LMDBs to train and test on; None: a deploy network, from ``data`` (1, 3, 32, 32) to ``prob``.
        classes: outputs of the last layer.
        bn_fraction: moving average fraction of the BatchNorm statistics (Caffe's default, 0.999, remembers
            about 1000 iterations, more than a short trial has).
    """
    net = Net("plain_acu" if acu else "plain")
    if source:
        net.lmdb_data(source)
    else:
        net.input((1, 3, 32, 32))

    def conv(name: str, outputs: int, kernel: int, stride: int = 1) -> None:
        net.conv(name, outputs, kernel, stride=stride, acu=acu if kernel == 3 else None)
        net.bn_relu(name, moving_average_fraction=bn_fraction)

    conv("conv0", 16, 1)
    conv("conv1_1", 48, 3)
    conv("conv1_2", 48, 3)
    conv("conv2_1", 96, 3, stride=2)
    conv("conv2_2", 96, 3)
    conv("conv3_1", 192, 3, stride=2)
    conv("conv3_2", 192, 3)
    conv("fc1", 1000, 1)
    net.global_average_pool("pool")
    net.conv("score", classes, 1, bias=True)
    if source:
        net.loss_and_accuracy()
    else:
        net.softmax()
    return net.proto


def cifar_solver(net: str, snapshot_prefix: str) -> "caffe_pb2.SolverParameter":
    """The CVPR paper's schedule for CIFAR-10 (section 3.1): 64k iterations of 64 images, Nesterov.

    Assumed: snapshot and test intervals, which change nothing.
    """
    return caffe_pb2.SolverParameter(
        net=net,
        type="Nesterov",
        base_lr=0.1,
        momentum=0.9,
        weight_decay=1e-4,
        lr_policy="multistep",
        gamma=0.1,
        stepvalue=[32_000, 48_000],
        max_iter=PAPER_ITERATIONS,
        test_iter=[100],
        test_interval=1_000,
        display=100,
        snapshot=5_000,
        snapshot_prefix=snapshot_prefix,
        random_seed=1,
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )
