"""The networks of *Grouped Active Convolution*, Tables 1 to 9 and section 4.3.3, with their training."""

from functools import partial

from caffe_acu.nets.builder import Acu
from caffe_acu.nets.datasets import GROUPED_CIFAR10, IMAGENET
from caffe_acu.nets.inception import inception
from caffe_acu.nets.mobilenet_v2 import WIDTHS, mobilenet_v2
from caffe_acu.nets.model import APPLY, Build, Model, Start
from caffe_acu.nets.resnet29 import Middle, resnet29
from caffe_acu.nets.resnext import resnext
from caffe_acu.nets.schedules import CIFAR_WARMUP_ITER, GROUPED_CIFAR, TABLE9, Schedule
from caffe_acu.nets.schedules import IMAGENET as IMAGENET_SCHEDULE
from caffe_acu.nets.xception import xception

_GROUPINGS = {
    "16x4d": "16 groups",
    "x4d": "groups of 4 channels",
    "x2d": "groups of 2 channels",
    "x1d": "groups of 1 channel (depthwise)",
}


def grouped_models() -> list[Model]:
    return [*_tables_1_and_2(), *_table3(), *_tables_4_and_5(), *_imagenet(), *_table9()]


def _tables_1_and_2() -> list[Model]:
    return [
        _resnet29("", "Base network, 29 layers", Middle(), "Nine pre-activation bottlenecks, in three stages."),
        _resnet29(
            "acu",
            "29-layer network with ACUs",
            Middle(acu=Acu(CIFAR_WARMUP_ITER)),
            "The nine 3x3 convolutions are ACUs of one position set each; warm-up of 10,000 iterations.",
        ),
        _resnet29(
            "7x7",
            "29-layer network with 7x7 convolutions",
            Middle(kernel=7),
            "7x7 convolutions in place of the nine 3x3 ones: the area that the ACUs reach.",
        ),
        _resnet29(
            "d2",
            "29-layer network, last stage dilated",
            Middle(last_dilation=2),
            "The three 3x3 convolutions of the last stage have dilation 2.",
        ),
        _resnet29(
            "acu_fixed",
            "29-layer network with fixed ACUs",
            Middle(acu=Acu(learn=False)),
            "ACUs at the positions that a `resnet29_acu` has learned, from the first iteration on, and frozen.",
            start=_positions_of("acu"),
        ),
    ]


def _table3() -> list[Model]:
    models = []
    for grouping, groups in _GROUPINGS.items():
        name = f"29-layer network, {grouping}"
        widths = "Middle convolutions twice as wide as in the base network, in"
        no_warmup = () if grouping == "x1d" else ("no warm-up, as for depthwise ACUs",)
        models += [
            _resnet29(grouping, name, Middle(grouping), f"{widths} {groups}."),
            _resnet29(
                f"{grouping}_5x5",
                f"{name}, 5x5",
                Middle(grouping, kernel=5),
                f"{widths} {groups}; 5x5.",
            ),
            _resnet29(
                f"{grouping}_acu",
                f"{name}, with ACUs",
                Middle(grouping, acu=Acu()),
                f"ACUs, twice as wide as the convolutions of the base network, in {groups}, each with a position set.",
                assumed=no_warmup,
            ),
        ]
    return models


def _tables_4_and_5() -> list[Model]:
    return [
        _resnet29(
            "acu_no_warmup",
            "29-layer network with ACUs, no warm-up",
            Middle(acu=Acu()),
            "As `resnet29_acu`, but positions learn from the first iteration on.",
        ),
        _resnet29(
            "x1d_acu_warmup",
            "29-layer network, x1d, with ACUs and warm-up",
            Middle("x1d", acu=Acu(CIFAR_WARMUP_ITER)),
            "As `resnet29_x1d_acu`, but positions stay put for 10,000 iterations.",
            assumed=("the length of the warm-up: that of `resnet29_acu`",),
        ),
        _resnet29(
            "x1d_acu_share",
            "29-layer network, x1d, with ACUs that share positions",
            Middle("x1d", acu=Acu(position_group=1)),
            "Depthwise ACUs with one position set a layer, for all channels.",
        ),
        _resnet29(
            "x1d_acu_fixed",
            "29-layer network, x1d, with fixed ACUs",
            Middle("x1d", acu=Acu(learn=False)),
            "Depthwise ACUs at the positions that a `resnet29_x1d_acu` has learned, from the first iteration on, and "
            "there they stay.",
            start=_positions_of("x1d_acu"),
        ),
    ]


def _imagenet() -> list[Model]:
    which_inception = "Inception is GoogLeNet without auxiliary classifiers: so the printed counts come out"
    models = [
        _on_imagenet(
            "inception",
            "Inception with batch normalisation",
            inception,
            "GoogLeNet without its auxiliary classifiers, batch normalisation before every ReLU.",
            which_inception,
            "no LRN and no dropout",
        ),
        _on_imagenet(
            "inception_acu",
            "Inception, modules replaced by depthwise ACUs",
            partial(inception, Acu()),
            "A 1x1 convolution and a depthwise ACU in place of every Inception module, 1.4 times as wide.",
            which_inception,
            "no LRN and no dropout",
            "the last block keeps its 1024 channels; widths are rounded down: with these the printed counts come out",
            "batch normalisation and ReLU after the 1x1 convolution and after the ACU",
        ),
        _on_imagenet(
            "xception",
            "Xception",
            xception,
            "Xception at 224x224 pixels.",
            "no dropout",
            "the first two convolutions are padded",
        ),
        _on_imagenet(
            "xception_acu",
            "Xception with depthwise ACUs",
            partial(xception, Acu()),
            "The last depthwise convolution of each of the twelve residual blocks is an ACU.",
            "no dropout",
            "the first two convolutions are padded",
        ),
    ]
    mobilenet_assumed = (
        "widths are rounded down, those of the first and last convolution too, and the first block has a 1x1 "
        "convolution before its depthwise one: so the printed counts come out",
        "ReLU, where the original has ReLU6; no dropout",
    )
    for width in WIDTHS:
        name, title = f"mobilenet_v2_x{width / 10}", f"MobileNet v2, x{width / 10}"
        models += [
            _on_imagenet(
                name,
                title,
                partial(mobilenet_v2, width),
                f"MobileNet v2, its widths times {width / 10}.",
                *mobilenet_assumed,
            ),
            _on_imagenet(
                f"{name}_acu",
                f"{title}, with depthwise ACUs",
                partial(mobilenet_v2, width, Acu()),
                f"MobileNet v2, its widths times {width / 10}; all 17 depthwise convolutions are ACUs.",
                *mobilenet_assumed,
            ),
        ]
    return models


def _table9() -> list[Model]:
    assumed = (
        "post-activation blocks, as in ResNeXt",
        "projections are not normalised: so the printed counts come out",
    )
    return [
        _cifar(
            "resnext29_8x64d",
            "ResNeXt-29, 8x64d",
            resnext,
            "The network that depthwise ACUs are compared with.",
            assumed,
            schedule=TABLE9,
        ),
        *(
            _cifar(
                f"depthwise_acu{9 * blocks + 2}",
                f"Depthwise ACU-{9 * blocks + 2}",
                partial(resnext, Acu(), blocks=blocks),
                f"ResNeXt with {blocks} blocks in each stage, a depthwise ACU in place of every grouped convolution. "
                "The printed number of parameters counts the fixed synapse's coordinates too "
                "(`caffe-acu counts --convention table9`).",
                assumed,
                schedule=TABLE9,
            )
            for blocks in (3, 5)
        ),
    ]


def _cifar(
    name: str,
    title: str,
    build: Build,
    text: str,
    assumed: tuple[str, ...] = (),
    start: Start | None = None,
    schedule: Schedule = GROUPED_CIFAR,
) -> Model:
    return Model(f"grouped/{name}", title, build, GROUPED_CIFAR10, schedule, text, assumed, start)


def _resnet29(
    variant: str, title: str, middle: Middle, text: str, assumed: tuple[str, ...] = (), start: Start | None = None
) -> Model:
    name = f"resnet29_{variant}" if variant else "resnet29"
    projections = (
        "projections are not normalised: so the printed counts come out; they read what the block's first batch "
        "normalisation and ReLU give"
    )
    return _cifar(name, title, partial(resnet29, middle), text, (projections, *assumed), start)


def _positions_of(variant: str) -> Start:
    """For the network of the same positions, fixed."""
    name = f"resnet29_{variant}"
    return Start(
        f"Random weights, with the positions of a trained `{name}`.",
        f"grouped/{name}",
        APPLY,
    )


def _on_imagenet(name: str, title: str, build: Build, text: str, *assumed: str) -> Model:
    positions = "the rate of positions is 0.01 of the base rate, and their gradient normalised, as on CIFAR"
    weights = (
        "weights start as on CIFAR, by the method of He et al., those of the fully connected layer by Glorot's, as in "
        "the authors' later networks"
    )
    assumed += (positions, weights) if name.endswith("_acu") else (weights,)
    return Model(f"grouped/{name}", title, build, IMAGENET, IMAGENET_SCHEDULE, text, assumed)
