"""The networks of models/, layer by layer: what stands where, what a shortcut carries, how weights start.

Each is described in a line, which is compared with one written here after the papers and those that they build on.
"""

from dataclasses import dataclass, field

import pytest

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.nets import zoo

BY_FOLDER = {model.folder: model for model in zoo.all_models()}


# ---- A network as a line: "conv3/2" has stride 2, "sum(identity | ...)" is a block with its shortcut first
@dataclass(eq=False)
class Node:
    what: str = "data"
    before: list["Node"] = field(default_factory=list)

    def ancestors(self) -> set["Node"]:
        found, open_ = set(), [self]
        while open_:
            node = open_.pop()
            if node not in found:
                found.add(node)
                open_ += node.before
        return found


def described(net: "caffe_pb2.NetParameter") -> str:
    """From the images to what the loss reads."""
    blobs = {"data": Node()}
    for layer in net.layer:
        if layer.type == "SoftmaxWithLoss":
            return between(None, blobs[layer.bottom[0]])
        if layer.type != "Data":
            blobs[layer.top[0]] = Node(word(layer), [blobs[name] for name in layer.bottom])
    raise AssertionError("no loss")


def between(start: Node | None, node: Node) -> str:
    words = []
    while node.before and node is not start:
        if len(node.before) == 1:
            words.append(node.what)
            (node,) = node.before
        else:
            fork = fork_of(node.before)
            branches = [between(fork, branch) or "identity" for branch in node.before]
            words.append(f"{node.what}({' | '.join(branches)})")
            node = fork
    return " ".join(reversed(words))


def fork_of(branches: list[Node]) -> Node:
    """The last node that all branches come from."""
    common = set.intersection(*(branch.ancestors() for branch in branches))
    node = branches[0]
    while node not in common:
        node = node.before[0]
    return node


def word(layer: "caffe_pb2.LayerParameter") -> str:
    if layer.type in (*ACTIVE_TYPES, "Convolution"):
        return convolution(layer)
    if layer.type == "Pooling":
        pool = layer.pooling_param
        kind = {pool.MAX: "max", pool.AVE: "average"}[pool.pool]
        return kind if pool.global_pooling else f"{kind}{pool.kernel_size}/{pool.stride}" + f"pad{pool.pad}" * pool.pad
    if layer.type == "Eltwise":
        assert layer.eltwise_param.operation == layer.eltwise_param.SUM and not layer.eltwise_param.coeff
        return "sum"
    if layer.type == "LRN":
        param = layer.lrn_param
        assert (param.alpha, param.beta, param.norm_region) == pytest.approx((1e-4, 0.75, param.ACROSS_CHANNELS))
        return f"lrn{param.local_size}"
    if layer.type == "Dropout":
        return f"dropout{layer.dropout_param.dropout_ratio:g}"
    if layer.type == "InnerProduct":
        assert layer.inner_product_param.bias_term
    return {"BatchNorm": "bn", "Scale": "scale", "ReLU": "relu", "InnerProduct": "fc", "Concat": "concat"}[layer.type]


def convolution(layer: "caffe_pb2.LayerParameter") -> str:
    """Kernel, dilation, groups, bias, stride; padding if it does not keep the size."""
    param = layer.convolution_param
    (kernel,), dilation, stride = (
        param.kernel_size,
        *(values[0] if values else 1 for values in (param.dilation, param.stride)),
    )
    pad = param.pad[0] if param.pad else 0
    depthwise = param.group == param.num_output
    return "".join(
        (
            "depthwise_" * depthwise,
            f"acu{kernel}" if layer.type in ACTIVE_TYPES else f"conv{kernel}",
            f"d{dilation}" * (dilation > 1),
            f"g{param.group}" * (param.group > 1 and not depthwise),
            f"_sets{layer.acu_param.position_group}" * layer.acu_param.HasField("position_group"),
            "+bias" * param.bias_term,
            f"/{stride}" * (stride > 1),
            f"pad{pad}" * (pad != dilation * (kernel // 2)),
        )
    )


# ---- The same after the papers
N = "bn scale relu"
GOOGLENET_STEM = f"conv7/2 {N} max3/2 conv1 {N} conv3 {N} max3/2"
MODULE = f"concat(conv1 {N} | conv1 {N} conv3 {N} | conv1 {N} conv5 {N} | max3/1pad1 conv1 {N})"


def plain(first: str, second: str, third: str, conv0: str = "conv1") -> str:
    """CVPR Table 1; the 3x3 convolutions of the three stages."""
    return (
        f"{conv0} {N} {first} {N} {first} {N} {second}/2 {N} {second} {N} {third}/2 {N} {third} {N} conv1 {N} "
        "average conv1+bias"
    )


def pre_activated(middle: str, stride: str = "", start: str = N) -> str:
    """Bottlenecks (He et al., 2016): one with a projection, one without."""
    rest = f"{N} {middle}{{}} {N} conv1"
    projecting = f"{start} sum(conv1{stride} | conv1 {rest.format(stride)})".strip()
    return f"{projecting} sum(identity | {N} conv1 {rest.format('')})"


def more(middle: str) -> str:
    return f" sum(identity | {N} conv1 {N} {middle} {N} conv1)"


def residual29(first: str, second: str = "", third: str = "") -> str:
    """Grouped paper, Table 10; the convolutions in the middle of bottlenecks."""
    middles = (first, second or first, third or second or first)
    stages = (
        pre_activated(middle, stride) + more(middle) for middle, stride in zip(middles, ("", "/2", "/2"), strict=True)
    )
    return f"conv3 {' '.join(stages)} {N} average fc"


def residual47(middle: str) -> str:
    stages = (pre_activated(middle, stride) + 3 * more(middle) for stride in ("", "/2", "/2"))
    return f"conv3 {' '.join(stages)} {N} average fc"


def residual26(middle: str) -> str:
    stages = (pre_activated(middle, "/2") for _ in range(3))
    return f"conv7/2 {N} max3/2 {pre_activated(middle, start='')} {' '.join(stages)} {N} average fc"


def residual32(conv: str) -> str:
    same = f"sum(identity | {N} {conv} {N} {conv})"
    half = f"{N} sum(conv1/2 | {conv}/2 {N} {conv})"
    return " ".join(["conv3", *5 * [same], *2 * [half, *4 * [same]], N, "average fc"])


def resnext(middle: str, blocks: int) -> str:
    """Xie et al., 2017; but for the projections, which have no batch normalisation."""
    block = f"sum({{}} | conv1 {N} {middle}{{}} {N} conv1 bn scale) relu"
    stages = [
        " ".join([block.format(f"conv1{stride}", stride), *(blocks - 1) * [block.format("identity", "")]])
        for stride in ("", "/2", "/2")
    ]
    return f"conv3 {N} {' '.join(stages)} average fc"


def alexnet(conv: str) -> str:
    """Krizhevsky et al., 2012, in Caffe's order: normalised, then pooled."""
    return (
        "conv11+bias/4pad0 relu lrn5 max3/2 conv5g2+bias relu lrn5 max3/2 "
        f"{conv}3+bias relu {conv}3g2+bias relu {conv}3g2+bias relu max3/2 "
        "fc relu dropout0.5 fc relu dropout0.5 fc"
    )


def inception(block: str) -> str:
    """Szegedy et al., 2015: 3a and 3b, 4a to 4e, 5a and 5b."""
    modules = [*2 * [block], "max3/2", *5 * [block], "max3/2", *2 * [block]]
    return " ".join([GOOGLENET_STEM, *modules, "average fc"])


def xception(last: str) -> str:
    """Chollet, 2017, Figure 5; ``last``: depthwise convolution of each residual block."""

    def separable(depthwise: str = "depthwise_conv3") -> str:
        return f"{depthwise} conv1 bn scale"

    def down(start: str) -> str:
        return f"sum(conv1/2 bn scale | {start}{separable()} relu {separable(last)} max3/2)"

    middle = f"sum(identity | relu {separable()} relu {separable()} relu {separable(last)})"
    return " ".join(
        [f"conv3/2 {N} conv3 {N}", down(""), *2 * [down("relu ")], *8 * [middle], down("relu ")]
        + [f"{separable()} relu {separable()} relu average fc"]
    )


def mobilenet_v2(depthwise: str) -> str:
    """Sandler et al., 2018, Table 2: strides and repetitions."""

    def block(stride: str = "") -> str:
        return f"conv1 {N} {depthwise}{stride} {N} conv1 bn scale"

    stages = (("", 1), ("/2", 2), ("/2", 3), ("/2", 4), ("", 3), ("/2", 3), ("", 1))
    blocks = [" ".join([block(stride), *(n - 1) * [f"sum(identity | {block()})"]]) for stride, n in stages]
    return f"conv3/2 {N} {' '.join(blocks)} conv1 {N} average fc"


CVPR = {
    "plain": plain("conv3", "conv3", "conv3"),
    "plain_acu": plain("acu3", "acu3", "acu3"),
    "plain_acu_round": plain("acu3", "acu3", "acu3"),
    "plain_authors": plain("acu3", "acu3", "acu3", conv0="acu1"),
    "plain_d2": plain("conv3", "conv3", "conv3d2"),
    "plain_acu_c23": plain("conv3", "acu3", "acu3"),
    "plain_f5": plain("conv3", "conv3", "conv5"),
    "plain_acu_f5": plain("acu3", "acu3", "acu5"),
    "basic_residual32": residual32("conv3"),
    "basic_residual32_acu": residual32("acu3"),
    "bottleneck_residual47": residual47("conv3"),
    "bottleneck_residual47_acu": residual47("acu3"),
    "alexnet": alexnet("conv"),
    "alexnet_acu": alexnet("acu"),
    "resnet26": residual26("conv3"),
    "resnet26_acu": residual26("acu3"),
}
GROUPED = {
    "resnet29": residual29("conv3"),
    **dict.fromkeys(("resnet29_acu", "resnet29_acu_no_warmup", "resnet29_acu_fixed"), residual29("acu3")),
    "resnet29_7x7": residual29("conv7"),
    "resnet29_d2": residual29("conv3", "conv3", "conv3d2"),
    **{
        f"resnet29_{name}{variant}": residual29(*(f"{conv}g{groups}" for groups in cardinalities))
        for name, cardinalities in (("16x4d", (16, 16, 16)), ("x4d", (16, 32, 64)), ("x2d", (32, 64, 128)))
        for variant, conv in (("", "conv3"), ("_5x5", "conv5"), ("_acu", "acu3"))
    },
    "resnet29_x1d": residual29("depthwise_conv3"),
    "resnet29_x1d_5x5": residual29("depthwise_conv5"),
    "resnet29_x1d_acu_share": residual29("depthwise_acu3_sets1"),
    **dict.fromkeys(
        ("resnet29_x1d_acu", "resnet29_x1d_acu_warmup", "resnet29_x1d_acu_fixed"), residual29("depthwise_acu3")
    ),
    "inception": inception(MODULE),
    "inception_acu": inception(f"conv1 {N} depthwise_acu3 {N}"),
    "xception": xception("depthwise_conv3"),
    "xception_acu": xception("depthwise_acu3"),
    **{f"mobilenet_v2_x{width}": mobilenet_v2("depthwise_conv3") for width in ("0.8", "1.0", "1.2", "1.4")},
    **{f"mobilenet_v2_x{width}_acu": mobilenet_v2("depthwise_acu3") for width in ("0.8", "1.0", "1.2", "1.4")},
    "resnext29_8x64d": resnext("conv3g8", 3),
    "depthwise_acu29": resnext("depthwise_acu3", 3),
    "depthwise_acu47": resnext("depthwise_acu3", 5),
}


@pytest.mark.parametrize("model", zoo.all_models(), ids=lambda model: model.folder)
def test_layers(model):
    papers = {"cvpr2017": CVPR, "grouped": GROUPED}
    assert described(model.train_val()) == papers[model.paper][model.name.removesuffix("_cifar100")]


# ---- How weights and biases start
ALEXNET_START = {
    **{name: (0.01, 0) for name in ("conv1", "conv3", "fc8")},
    **{name: (0.01, 0.1) for name in ("conv2", "conv4", "conv5")},
    **{name: (0.005, 0.1) for name in ("fc6", "fc7")},
}


@pytest.mark.parametrize("model", zoo.all_models(), ids=lambda model: model.folder)
def test_start_of_weights(model):
    """By He et al.; fully connected layers on ImageNet by Glorot; AlexNet's Gaussians and biases as Caffe has them."""
    for layer in model.train_val().layer:
        if layer.type not in (*ACTIVE_TYPES, "Convolution", "InnerProduct"):
            continue
        param = layer.inner_product_param if layer.type == "InnerProduct" else layer.convolution_param
        if "alexnet" in model.name:
            assert param.weight_filler.type == "gaussian"
            assert (param.weight_filler.std, param.bias_filler.value) == pytest.approx(ALEXNET_START[layer.name])
        else:
            glorot = layer.type == "InnerProduct" and model.data.name == "ImageNet"
            assert param.weight_filler.type == ("xavier" if glorot else "msra")
            assert not param.HasField("bias_filler")
