"""The smallest network that shows an ACU at work: one 3x3 layer, for the generated images.

What it can tell apart is what its one layer sees at once, so the shape that an ACU learns there must be
that of the images' constellations.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets.builder import Acu, DataSource, Net

OUTPUTS = 16
# Ten times the papers' rate, since a probe runs for a thousand iterations where they ran for 64,000.
POSITION_LR_MULT = 0.2
WARMUP_ITER = 200


def probe(acu: bool, source: DataSource, classes: int) -> "caffe_pb2.NetParameter":
    """3x3 convolution or ACU, 16 outputs, ReLU, global maximum, linear classifier."""
    net = Net("probe_acu" if acu else "probe", source, (3, source.crop_size, source.crop_size))
    x = net.conv(net.data, "conv", OUTPUTS, 3, bias=True, acu=Acu(WARMUP_ITER, POSITION_LR_MULT) if acu else None)
    x = net.global_pool(net.relu(x, "conv"), maximum=True)
    return net.classify(net.conv(x, "score", classes, 1, bias=True))


def probe_solver(max_iter: int, seed: int) -> "caffe_pb2.SolverParameter":
    return caffe_pb2.SolverParameter(
        type="Nesterov",
        base_lr=0.05,
        momentum=0.9,
        lr_policy="multistep",
        gamma=0.1,
        stepvalue=[max_iter * 3 // 4],
        max_iter=max_iter,
        test_iter=[20],
        test_interval=max_iter,
        test_initialization=False,
        display=max(1, max_iter // 40),
        snapshot=max(1, max_iter // 16),
        random_seed=seed,
        solver_mode=caffe_pb2.SolverParameter.CPU,
    )
