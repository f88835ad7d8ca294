"""Rates, warm-up, schedules and structure of the networks in models/, as the papers say."""

import re
from collections import defaultdict

import caffe
import numpy as np
import pytest
from google.protobuf import text_format

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import build_parser
from caffe_acu.data.options import DEFAULT_PREPROCESSING
from caffe_acu.net_param import format_prototxt
from caffe_acu.nets import zoo
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.plain import plain

BY_FOLDER = {model.folder: model for model in zoo.all_models()}

every_model = pytest.mark.parametrize("model", zoo.all_models(), ids=lambda model: model.folder)


@every_model
def test_rates(model):
    """Positions, biases, scale and shift do not decay."""
    for layer in model.train_val().layer:
        rates, decays = [
            [round(getattr(param, name), 6) for param in layer.param] for name in ("lr_mult", "decay_mult")
        ]
        bias = (layer.convolution_param if layer.type != "InnerProduct" else layer.inner_product_param).bias_term
        if layer.type in ACTIVE_TYPES:
            position = 0.1 if model.folder == "cvpr2017/alexnet_acu" else 0.01
            if not layer.acu_param.learn_positions:
                position = 0
            assert rates[2:] == [position] * 2 and decays[2:] == [0, 0]
        elif layer.type == "BatchNorm":
            assert not layer.param  # Caffe sets these rates to 0; three of them mean a file that it has to upgrade
        elif layer.type == "Scale":
            assert rates == [1, 1] and decays == [0, 0] and layer.scale_param.bias_term
        if layer.type in (*ACTIVE_TYPES, "Convolution", "InnerProduct"):
            assert (rates[0], decays[0]) == (1, 1)
            if bias:
                assert (rates[1], decays[1]) == (2 if "alexnet" in model.name else 1, 0)
            else:
                assert len(rates) in (1, 4)


@every_model
def test_no_bias_stands_under_a_batch_norm(model):
    """And BatchNorm takes the batch's statistics in training, the averaged ones in the test, which is its default."""
    layers = list(model.train_val().layer)
    for before, layer in zip(layers, layers[1:], strict=False):
        if layer.type == "BatchNorm":
            assert not layer.batch_norm_param.HasField("use_global_stats")
            if before.type in (*ACTIVE_TYPES, "Convolution"):
                assert not before.convolution_param.bias_term


WARMUP = {
    **dict.fromkeys(("plain_acu", "plain_acu_cifar100", "plain_acu_c23", "plain_acu_f5"), 10_000),
    **dict.fromkeys(
        (f"{net}_acu{c}" for net in ("basic_residual32", "bottleneck_residual47") for c in ("", "_cifar100")), 10_000
    ),
    **dict.fromkeys(("alexnet_acu", "resnet26_acu"), 50_000),
    **dict.fromkeys(("resnet29_acu", "resnet29_x1d_acu_warmup"), 10_000),
}
FROZEN = {"plain_acu_round", "resnet29_acu_fixed", "resnet29_x1d_acu_fixed"}


@every_model
def test_warm_up(model):
    for layer in model.train_val().layer:
        if layer.type in ("ACU", "GroupedACU"):
            assert layer.acu_param.warmup_iter == WARMUP.get(model.name, 0)
            assert layer.acu_param.learn_positions == (model.name not in FROZEN)
            assert layer.acu_param.normalize_gradient
        elif layer.type == "AConvFast":
            assert layer.aconv_param.normalize and layer.aconv_param.pos_filler_std == -1  # its 3x3 lattice


# Section 3.1 and 5 of the CVPR paper, the poster; appendix B and section 5.1 of the grouped paper.
CVPR_CIFAR = (64_000, 0.1, 1e-4, "Nesterov", "multistep", (32_000, 48_000), 64)
ROUND = (20_000, 1e-3, 1e-4, "Nesterov", "fixed", (), 64)
ALEXNET = (400_000, 0.01, 5e-4, "SGD", "multistep", (200_000, 300_000), 128)
RESNET26 = (350_000, 0.1, 1e-4, "SGD", "multistep", (200_000, 300_000), 128)
GROUPED_CIFAR = (64_000, 0.1, 5e-4, "Nesterov", "multistep", (32_000, 48_000), 128)
IMAGENET = (300_240, 0.1, 1e-4, "Nesterov", "poly", (), 256)


def expected_schedule(folder: str) -> tuple:
    paper, name = folder.split("/")
    if paper == "grouped":
        on_imagenet = name.startswith(("inception", "xception", "mobilenet"))
        return IMAGENET if on_imagenet else GROUPED_CIFAR
    special = {"alexnet": ALEXNET, "alexnet_acu": ALEXNET, "resnet26": RESNET26, "resnet26_acu": RESNET26}
    return {**special, "plain_acu_round": ROUND}.get(name, CVPR_CIFAR)


@every_model
def test_schedule(model):
    solver = model.schedule.message()
    (batch,) = (
        layer.data_param.batch_size
        for layer in model.train_val().layer
        if layer.type == "Data" and layer.include[0].phase == caffe_pb2.TRAIN
    )
    read = (
        solver.max_iter,
        round(solver.base_lr, 6),
        round(solver.weight_decay, 6),
        solver.type,
        solver.lr_policy,
        tuple(solver.stepvalue),
        batch,
    )
    assert read == expected_schedule(model.folder)
    assert solver.momentum == pytest.approx(0.9)
    assert solver.iter_size == 1
    assert 0 < solver.snapshot <= solver.max_iter and solver.random_seed >= 0
    normalised = any(layer.type == "BatchNorm" for layer in model.train_val().layer)
    assert solver.test_initialization != normalised  # without statistics yet, a test divides by nothing
    if solver.lr_policy == "multistep":
        assert solver.gamma == pytest.approx(0.1)
    if solver.lr_policy == "poly":
        assert solver.power == 1


@every_model
def test_a_test_sees_every_image_once(model):
    images = {"CIFAR-10": 10_000, "CIFAR-100": 10_000, "Places365-Standard": 36_500, "ImageNet": 50_000}
    assert model.schedule.message().test_iter[0] * model.data.source.test_batch == images[model.data.name]


# Folder of the LMDBs, the test's LMDB, size of a training crop, what is subtracted, the factor.
IMAGES = {
    "cvpr2017 CIFAR-10": ("cifar10/lmdb", "test", 32, (), "", 1),
    "cvpr2017 CIFAR-100": ("cifar100/lmdb", "test", 32, (), "", 1),
    "cvpr2017 Places365-Standard": ("places365/lmdb", "val", 224, (), "mean.binaryproto", 1),
    "grouped CIFAR-10": ("cifar10/lmdb-gcn", "test", 32, (), "", 1),
    "grouped ImageNet": ("imagenet/lmdb", "val", 224, (103.94, 116.78, 123.68), "", 1 / 57.63),
}


@every_model
def test_images(model):
    """Training images are cropped at random and mirrored; photographs are cropped in the test too."""
    folder, test, crop, mean, mean_file, scale = IMAGES[f"{model.paper} {model.data.name}"]
    crop = 227 if "alexnet" in model.name else crop
    train_data, test_data = (layer for layer in model.train_val().layer if layer.type == "Data")
    assert train_data.data_param.source == f"data/{folder}/train_lmdb"
    assert test_data.data_param.source == f"data/{folder}/{test}_lmdb"
    assert [data.transform_param.mirror for data in (train_data, test_data)] == [True, False]
    of_test = crop if test == "val" else 0  # a CIFAR image is as large as a crop
    assert [data.transform_param.crop_size for data in (train_data, test_data)] == [crop, of_test]
    for data in (train_data, test_data):
        assert list(data.transform_param.mean_value) == pytest.approx(mean)
        assert data.transform_param.mean_file == (f"data/{folder}/{mean_file}" if mean_file else "")
        assert data.transform_param.scale == pytest.approx(scale, abs=1e-5)


@every_model
def test_the_command_that_is_told_makes_these_images(model):
    _, *words = re.sub("<.*?>", "SOURCE", model.data.command).split()
    arguments = build_parser().parse_args(words)
    folder, *_ = IMAGES[f"{model.paper} {model.data.name}"]
    assert str(arguments.out) == f"data/{folder}"
    assert arguments.data_set == folder.partition("/")[0]
    if model.data.name.startswith("CIFAR"):
        assert (arguments.preprocess or DEFAULT_PREPROCESSING) == ("gcn" if model.paper == "grouped" else "gcn-zca")
        assert (arguments.pad, arguments.pad_mode, arguments.channel_order) == (4, "mirror", "rgb")
    else:
        assert (arguments.size, arguments.fit, arguments.channel_order) == (256, "crop", "bgr")


# What sections 3.1 and 5.1 of the CVPR paper and appendix B of the grouped paper say of themselves is all printed.
ASSUMED = {
    ROUND: {"type", "base_lr", "lr_policy", "momentum", "weight_decay"},
    RESNET26: {"momentum"},
    IMAGENET: {"type", "lr_policy", "max_iter", "momentum", "weight_decay"},
}


@every_model
def test_assumed_values_are_marked_in_the_solver(model):
    text = model.schedule.text("net.prototxt", "net", "a comment")
    marked = {line.partition(":")[0] for line in text.splitlines() if "# assumed: " in line}
    table9 = model.name.startswith(("resnext", "depthwise"))
    assert marked == ({"max_iter"} if table9 else ASSUMED.get(expected_schedule(model.folder), set()))
    read = text_format.Parse(text, caffe_pb2.SolverParameter())  # Caffe reads it with these comments
    assert read.max_iter == model.schedule.settings["max_iter"]


# ---- Structure
@every_model
def test_nothing_is_overwritten_that_another_layer_still_needs(model):
    """A layer in place destroys what a layer before it has read, and needs again on the way back."""
    readers = defaultdict(list)  # of each blob since it was last written
    for layer in model.train_val().layer:
        in_place = set(layer.bottom) & set(layer.top)
        for blob in layer.bottom:
            if blob in in_place:
                assert readers[blob] == [], (layer.name, blob)
            else:
                readers[blob].append(layer.name)
        for blob in layer.top:
            readers[blob] = []


@every_model
def test_names_tell_what_a_layer_is(model):
    for layer in model.deploy().layer:
        prefix = {"BatchNorm": "bn_", "Scale": "scale_", "ReLU": "relu_", "Eltwise": ""}.get(layer.type)
        if prefix and model.name != "plain_authors":
            assert layer.name.startswith(prefix)


def pair(name: str) -> tuple[str, str]:
    return name.removesuffix("_acu"), name


@pytest.mark.parametrize(
    "base, acu",
    [pair(folder) for folder in BY_FOLDER if folder.endswith("_acu") and not folder.endswith("inception_acu")],
)
def test_an_acu_network_has_the_names_of_its_base(base, acu):
    """So they can be compared, and weights be carried over; only the types of some layers differ."""
    layers = [{layer.name: layer.type for layer in BY_FOLDER[folder].train_val().layer} for folder in (base, acu)]
    assert list(layers[0]) == list(layers[1])
    changed = {(before, after) for before, after in zip(*map(dict.values, layers), strict=True) if before != after}
    assert changed and changed <= {("Convolution", "ACU"), ("Convolution", "GroupedACU")}


def test_the_acu_network_starts_as_the_convolutional_one(tmp_path):
    nets = []
    for acu in (None, Acu()):
        path = tmp_path / f"{bool(acu)}.prototxt"
        path.write_text(format_prototxt(plain(acu)))
        nets.append(caffe.Net(str(path), caffe.TEST))
    base, acu = nets
    for name, blobs in base.params.items():
        for i, blob in enumerate(blobs):
            if name.startswith("bn_"):
                blob.data[...] = (0, 1, 1)[i]  # mean, variance, and the weight of both
            acu.params[name][i].data[...] = blob.data
    image = np.random.default_rng(0).normal(size=(1, 3, 32, 32))
    for net in nets:
        net.blobs["data"].data[...] = image
    expected = base.forward()["prob"]
    assert np.abs(acu.forward()["prob"] - expected).max() < 1e-5
    assert expected.std() > 0
