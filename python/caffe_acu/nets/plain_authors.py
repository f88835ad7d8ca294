"""The plain ACU network as its authors published it, so that their weights load unchanged.

Layer type AConvFast throughout, the 1x1 convolution at the bottom included (an ACU of one synapse, which
cannot move), and the authors' names of layers and blobs.
"""

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets.builder import Net

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
# The layers that normalise the one of that name are called bn1_1/1, not bn_conv1_1/1.
_PREFIX = "conv"


def plain_authors() -> "caffe_pb2.NetParameter":
    """Deploy network from ``data`` (1, 3, 32, 32) to ``score``, before the softmax, as in the authors' file."""
    net = Net("PlainC")
    net.input((1, 3, 32, 32))
    for name, blob, outputs, kernel, stride in _ACTIVE_LAYERS:
        layer = net.layer(name, "AConvFast", tops=[blob])
        conv = layer.convolution_param
        conv.num_output = outputs
        conv.kernel_size.append(kernel)
        conv.pad.append(kernel // 2)
        conv.stride.append(stride)
        conv.bias_term = False
        layer.aconv_param.normalize = True
        layer.aconv_param.pos_filler_std = -1
        net.bn_relu(name.removeprefix(_PREFIX), separator="")
    net.conv("fc1", 1000, 1)
    net.bn_relu("fc1")
    net.global_average_pool("prescore")
    net.conv("score", 10, 1, bias=True)
    return net.proto


def our_names() -> dict[str, str]:
    """The authors' names of layers, and those of the same layers in :func:`caffe_acu.nets.plain.plain`."""
    names = {"fc1": "fc1", "prescore": "pool", "score": "score"}
    stages = [name for name, *_ in _ACTIVE_LAYERS] + ["fc1"]
    ours = ["conv0", "conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "fc1"]
    for theirs, our in zip(stages, ours, strict=True):
        names[theirs] = our
        separator = "_" if theirs == "fc1" else ""
        for part in ("bn", "scale", "relu"):
            names[f"{part}{separator}{theirs.removeprefix(_PREFIX)}"] = f"{part}_{our}"
    return names


def our_blobs() -> dict[str, str]:
    """The same for the blobs between the layers."""
    names = our_names()
    return {"prescore": "pool", **{blob: names[name] for name, blob, *_ in _ACTIVE_LAYERS}}
