"""The networks of *Active Convolution*, Tables 2 to 4, and of its poster, with their training."""

from dataclasses import replace
from functools import partial

from caffe_acu.nets.alexnet import alexnet
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.datasets import ALEXNET_PLACES, CVPR_CIFAR10, CVPR_CIFAR100, RESNET26_PLACES
from caffe_acu.nets.model import ROUND, Build, Model, Start
from caffe_acu.nets.plain import plain
from caffe_acu.nets.plain_authors import plain_authors
from caffe_acu.nets.residual_cifar import basic_residual32, bottleneck_residual47
from caffe_acu.nets.resnet26 import resnet26
from caffe_acu.nets.schedules import (
    ACU_ROUND,
    ALEXNET,
    CIFAR_WARMUP_ITER,
    CVPR_CIFAR,
    PLACES_WARMUP_ITER,
    RESNET26,
)

_ACU = Acu(CIFAR_WARMUP_ITER)
_GRADIENT_ASSUMED = "the gradient of positions is normalised, as on CIFAR"
_SCORE_ASSUMED = "the last layer is a 1x1 convolution with bias after the pooling, as in the authors' file"
_PROJECTIONS_ASSUMED = (
    "the stride of a block is that of its first 3x3 convolution",
    "projections read what the block's first batch normalisation and ReLU give, and are not normalised",
)
_RESIDUAL_ASSUMED = ("widths 16, 32, 64; the first convolution is 3x3 with 16 outputs", *_PROJECTIONS_ASSUMED)


def cvpr2017_models() -> list[Model]:
    return [
        *_table2(),
        *_table3(),
        *_table4(),
        *_poster(),
        Model(
            "cvpr2017/plain_authors",
            "Plain network with ACUs, as the authors published it",
            plain_authors,
            CVPR_CIFAR10,
            CVPR_CIFAR,
            "The plain ACU network in the dialect and with the names of the authors' Caffe fork, for their weights. "
            "Layer type AConvFast throughout, 1x1 included. That type knows no warm-up: to train, take "
            "`plain_acu`, into whose form `caffe-acu convert ring-to-raster --names plain` brings their weights.",
        ),
    ]


def _table2() -> list[Model]:
    return _on_both_cifars(
        _cifar("plain", "Plain network", plain, "Table 1: seven convolutions and a layer of 1000."),
        _cifar(
            "plain_acu",
            "Plain network with ACUs",
            partial(plain, _ACU),
            "All six 3x3 convolutions are ACUs; their positions stay put for 10,000 iterations.",
        ),
    )


def _table3() -> list[Model]:
    return _on_both_cifars(
        *(
            replace(model, assumed=_RESIDUAL_ASSUMED)
            for model in (
                _cifar(
                    "basic_residual32",
                    "Basic residual network, 32 layers",
                    basic_residual32,
                    "Fifteen pre-activation blocks of two 3x3 convolutions.",
                ),
                _cifar(
                    "basic_residual32_acu",
                    "Basic residual network, 32 layers, with ACUs",
                    partial(basic_residual32, _ACU),
                    "All thirty convolutions of the blocks are ACUs; warm-up of 10,000 iterations.",
                ),
                _cifar(
                    "bottleneck_residual47",
                    "Bottleneck residual network, 47 layers",
                    bottleneck_residual47,
                    "Fifteen pre-activation bottlenecks.",
                ),
                _cifar(
                    "bottleneck_residual47_acu",
                    "Bottleneck residual network, 47 layers, with ACUs",
                    partial(bottleneck_residual47, _ACU),
                    "The fifteen 3x3 convolutions of the blocks are ACUs; warm-up of 10,000 iterations.",
                ),
            )
        )
    )


def _table4() -> list[Model]:
    alexnet_assumed = (
        "weights start from Gaussians and biases at 0 or 0.1, as in Caffe's AlexNet; section 3 has the method of He "
        'et al. "for all experiments"'
    )
    resnet_assumed = (
        "blocks are of the pre-activation kind, as the paper's other residual networks",
        "widths 64, 128, 256, 512 and four times as many outputs",
        *_PROJECTIONS_ASSUMED,
    )
    alexnet_model = Model(
        "cvpr2017/alexnet",
        "AlexNet for Places365",
        alexnet,
        ALEXNET_PLACES,
        ALEXNET,
        "AlexNet as Caffe has it, with 365 outputs.",
        (alexnet_assumed,),
    )
    resnet_model = Model(
        "cvpr2017/resnet26",
        "ResNet26 for Places365",
        resnet26,
        RESNET26_PLACES,
        RESNET26,
        "An 18-layer residual network with bottlenecks in place of basic blocks.",
        resnet_assumed,
    )
    return [
        alexnet_model,
        replace(
            alexnet_model,
            folder="cvpr2017/alexnet_acu",
            title="AlexNet with ACUs for Places365",
            build=partial(alexnet, Acu(PLACES_WARMUP_ITER, position_lr_mult=0.1)),
            text="conv3, conv4 and conv5 are ACUs: one position set, and two in each of the grouped ones; warm-up "
            "of 50,000 iterations.",
            assumed=(
                alexnet_assumed,
                "the rate of positions is 0.001 as in section 2.5, hence 0.1 of the base rate, not 0.01 of it",
                _GRADIENT_ASSUMED,
            ),
        ),
        resnet_model,
        replace(
            resnet_model,
            folder="cvpr2017/resnet26_acu",
            title="ResNet26 with ACUs for Places365",
            build=partial(resnet26, Acu(PLACES_WARMUP_ITER)),
            text="The 3x3 convolutions of the eight blocks are ACUs; warm-up of 50,000 iterations.",
            assumed=(*resnet_assumed, "the rate of positions is 0.01 of the base rate, as on CIFAR", _GRADIENT_ASSUMED),
        ),
    ]


def _poster() -> list[Model]:
    return [
        _cifar(
            "plain_d2",
            "Plain network, last stage dilated",
            partial(plain, last_dilation=2),
            "conv3_1 and conv3_2 have dilation 2: their receptive field is that of 5x5, their parameters those of 3x3.",
        ),
        replace(
            _cifar(
                "plain_acu_round",
                "Plain network with rounded positions",
                partial(plain, Acu(learn=False)),
                "Positions of a trained `plain_acu` are rounded to whole pixels and frozen, and the network is tuned "
                "for another 20,000 iterations.",
            ),
            schedule=ACU_ROUND,
            start=Start(
                "The weights of a trained `plain_acu` whose positions have been rounded.",
                "cvpr2017/plain_acu",
                ROUND,
            ),
        ),
        _cifar(
            "plain_acu_c23",
            "Plain network with ACUs in its last stages",
            partial(plain, _ACU, acu_stages=(2, 3)),
            "conv1_1 and conv1_2 remain convolutions, the other four are ACUs.",
        ),
        _cifar(
            "plain_f5",
            "Plain network with 5x5 convolutions",
            partial(plain, last_kernel=5),
            "conv3_1 and conv3_2 are 5x5 convolutions.",
        ),
        _cifar(
            "plain_acu_f5",
            "Plain network with ACUs, 25 synapses in the last stage",
            partial(plain, _ACU, last_kernel=5),
            "All six convolutions are ACUs; conv3_1 and conv3_2 have 25 synapses and start as 5x5 convolutions.",
        ),
    ]


def _cifar(name: str, title: str, build: Build, text: str) -> Model:
    return Model(f"cvpr2017/{name}", title, build, CVPR_CIFAR10, CVPR_CIFAR, text, (_SCORE_ASSUMED,))


def _on_both_cifars(*models: Model) -> list[Model]:
    """Each model for CIFAR-10, then the same for CIFAR-100."""
    on_100 = [
        replace(model, folder=f"{model.folder}_cifar100", title=f"{model.title}, for CIFAR-100", data=CVPR_CIFAR100)
        for model in models
    ]
    return [*models, *on_100]
