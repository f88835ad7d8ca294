"""The plain ACU network as its authors published it, so that their weights load unchanged.

Layer type AConvFast throughout, the 1x1 convolution at the bottom included (an ACU of one synapse, which
cannot move), and the authors' names of layers and blobs.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import rename
from caffe_acu.net_spec import layers as L
from caffe_acu.nets.builder import KEPT, LEARNED, MSRA, POSITION_LR_MULT, DataSource, Net

# Layer, blob, outputs, kernel, stride.
_ACTIVE_LAYERS = (
    ("conv1_1", "base0_3/0", 16, 1, 1),
    ("conv1_1/1", "conv1_1/1", 48, 3, 1),
    ("conv1_1/2", "conv1_1/2", 48, 3, 1),
    ("conv2_1/1", "conv2_1/1", 96, 3, 2),
    ("conv2_1/2", "conv2_1/2", 96, 3, 1),
    ("conv3_1/1", "conv3_1/1", 192, 3, 2),
    ("conv3_1/2", "conv3_1/2", 192, 3, 1),
)
_PARTS = ("bn", "scale", "relu")


def plain_authors(*, source: DataSource | None = None, classes: int = 10) -> "caffe_pb2.NetParameter":
    """To train and test on ``source``; or from ``data`` (1, 3, 32, 32) to ``prob``, as in the authors' file."""
    net = Net("PlainC", source, (3, 32, 32))
    x = net.data
    for name, blob, outputs, kernel, stride in _ACTIVE_LAYERS:
        convolution = {"num_output": outputs, "kernel_size": kernel, "pad": kernel // 2, "stride": stride}
        layer = L.AConvFast(
            x,
            name=name,
            param=[LEARNED, KEPT, *[{"lr_mult": POSITION_LR_MULT, "decay_mult": 0}] * 2],
            convolution_param={**convolution, "bias_term": False, "weight_filler": MSRA.weight},
            aconv_param={"normalize": True, "pos_filler_std": -1},
        )
        x = net.bn_relu(net.add(blob, layer), name)
    x = net.conv_bn_relu(x, "fc1", 1000, 1)
    message = net.classify(net.conv(net.global_pool(x, "prescore"), "score", classes, 1, bias=True))
    rename(message, {f"{part}_{name}": _normalising(part, name) for name, *_ in _ACTIVE_LAYERS for part in _PARTS})
    return message


def our_names() -> dict[str, str]:
    """The authors' names of layers, and those of the same layers in :func:`caffe_acu.nets.plain.plain`."""
    names = {"fc1": "fc1", "prescore": "pool", "score": "score"}
    names |= {f"{part}_fc1": f"{part}_fc1" for part in _PARTS}
    ours = ["conv0", "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2"]
    for (theirs, *_), our in zip(_ACTIVE_LAYERS, ours, strict=True):
        names[theirs] = our
        names |= {_normalising(part, theirs): f"{part}_{our}" for part in _PARTS}
    return names


def our_blobs() -> dict[str, str]:
    """The same for the blobs between the layers."""
    names = our_names()
    return {"prescore": "pool", **{blob: names[name] for name, blob, *_ in _ACTIVE_LAYERS}}


def _normalising(part: str, name: str) -> str:
    return part + name.removeprefix("conv")  # bn1_1/1, not bn_conv1_1/1
