"""GoogLeNet (Szegedy et al., 2015) with batch normalisation, and Table 6 of the grouped paper.

The paper replaces every Inception module, with its four branches of fixed receptive fields, by one 1x1 convolution
and one depthwise ACU, whose channels learn their own; 1.4 times as wide, but for the last.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_spec import Top
from caffe_acu.nets.builder import XAVIER, Acu, DataSource, Net

# 1x1; 1x1 before 3x3, 3x3; 1x1 before 5x5, 5x5; 1x1 after pooling.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
_POOL_AFTER = {"3b": "pool3", "4e": "pool4"}
_LAST = "5b"


def inception(
    acu: Acu | None = None, *, source: DataSource | None = None, classes: int = 1000
) -> "caffe_pb2.NetParameter":
    """On 3x224x224 images; ``acu``: 1x1 convolution and depthwise ACU in place of every module."""
    net = Net("inception_acu" if acu else "inception", source, (3, 224, 224))
    x = net.conv_bn_relu(net.data, "conv1", 64, 7, stride=2)
    x = net.max_pool(x, "pool1", 3, 2)
    x = net.conv_bn_relu(x, "conv2_reduce", 64, 1)
    x = net.conv_bn_relu(x, "conv2", 192, 3)
    x = net.max_pool(x, "pool2", 3, 2)
    for module in _MODULES:
        x = _replacement(net, x, module, acu) if acu else _module(net, x, module)
        if module in _POOL_AFTER:
            x = net.max_pool(x, _POOL_AFTER[module], 3, 2)
    return net.classify(net.fc(net.global_pool(x), "score", classes, XAVIER), top5=True)


def _module(net: Net, x: Top, module: str) -> Top:
    name = f"inception_{module}"
    one, reduce3, three, reduce5, five, after_pool = _MODULES[module]
    branch3 = net.conv_bn_relu(x, f"{name}_3x3_reduce", reduce3, 1)
    branch5 = net.conv_bn_relu(x, f"{name}_5x5_reduce", reduce5, 1)
    pooled = net.max_pool(x, f"{name}_pool", 3, 1, pad=1)
    return net.concat(
        f"{name}_output",
        net.conv_bn_relu(x, f"{name}_1x1", one, 1),
        net.conv_bn_relu(branch3, f"{name}_3x3", three, 3),
        net.conv_bn_relu(branch5, f"{name}_5x5", five, 5),
        net.conv_bn_relu(pooled, f"{name}_pool_1x1", after_pool, 1),
    )


def width(module: str) -> int:
    """Channels of the replacement of a module: 1.4 times the module's, rounded down, but for the last.

    The paper prints the factor alone; that 5b keeps its 1024 channels is what reproduces 7.1M and 1.47G.
    """
    one, _, three, _, five, after_pool = _MODULES[module]
    outputs = one + three + five + after_pool
    return outputs if module == _LAST else outputs * 14 // 10


def _replacement(net: Net, x: Top, module: str, acu: Acu) -> Top:
    name, channels = f"inception_{module}", width(module)
    x = net.conv_bn_relu(x, f"{name}_1x1", channels, 1)
    return net.conv_bn_relu(x, f"{name}_depthwise", channels, 3, group=channels, acu=acu)
