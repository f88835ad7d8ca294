"""Active layers as plain convolutions: the same outputs, in Caffe, for every kind of layer and family of networks."""

import numpy as np
import pytest

import trained_nets
from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.convert.to_convolution import convert_to_convolutions
from caffe_acu.convert.verify import verify
from caffe_acu.errors import UserError
from caffe_acu.trained_net import read_trained
from trained_text import image, input_text, run, trained_of

CHANNELS = 12
SHAPE = (2, CHANNELS, 9, 8)
OTHER_SHAPES = [(1, CHANNELS, 9, 15), (3, CHANNELS, 17, 7)]
# (groups, sets): one, equal, nested both ways, across, depthwise, shared.
GROUPS_AND_SETS = [(1, 1), (2, 2), (4, 2), (2, 4), (2, 3), (12, 12), (12, 1), (1, 12), (3, 4)]
GEOMETRIES = [
    "kernel_size: 3 pad: 1",
    "kernel_size: 3 pad: 1 stride: 2",
    "kernel_size: 3",
    "kernel_size: 3 pad: 3 stride: 3",
    "kernel_size: 2",
    "kernel_size: 2 pad: 1 stride: 2",
    "kernel_size: 4 pad: 2",
    "kernel_size: 1",
    "kernel_size: 5 pad: 2",
    "kernel_h: 2 kernel_w: 5 pad_h: 0 pad_w: 4 stride_h: 2 stride_w: 1",
    "kernel_h: 3 kernel_w: 1 pad_h: 5 pad_w: 0 stride_h: 1 stride_w: 2",
    "kernel_size: 3 pad: 2 dilation: 2",
    "kernel_h: 2 kernel_w: 3 pad: 1 dilation: 3 dilation: 2 stride: 2",
]
LISTED = "acu_param { position { x: 1 } position { y: -2 } position { x: 3 y: 3 } position { } }"


def active(type_: str, convolution: str, more: str = "", bottoms: str = "bottom: 'data' top: 'a'") -> str:
    return (
        f"{input_text(SHAPE)} layer {{ name: 'a' type: '{type_}' {bottoms} "
        f"param {{ lr_mult: 0.1 }} convolution_param {{ num_output: 24 {convolution} "
        f"weight_filler {{ type: 'msra' }} bias_filler {{ type: 'constant' value: 3 }} }} {more} }}"
    )


def check_exactly(text: str, options: ConvolutionOptions = ConvolutionOptions(), seed: int = 0) -> None:
    """Outputs are the same to the last bit, on our kernels and on Caffe's own, for inputs of several sizes."""
    trained = trained_of(text, seed)
    converted = convert_to_convolutions(trained, options)
    assert all(layer.type in ("Input", "Convolution", "Eltwise") for layer in converted.net.layer)
    stock = caffe_pb2.NetParameter()
    stock.CopyFrom(converted.net)
    for layer in stock.layer:
        if layer.type == "Convolution":
            layer.convolution_param.engine = caffe_pb2.ConvolutionParameter.CAFFE
    for shape in (SHAPE, *OTHER_SHAPES):
        values = image(shape)
        expected = run(trained.net, trained.blobs, values)["a"]
        assert np.abs(expected).max() > 50
        for net in (converted.net, stock):
            np.testing.assert_array_equal(run(net, converted.blobs, values)["a"], expected)


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_every_geometry(geometry):
    check_exactly(active("ACU", geometry))
    check_exactly(active("ACU", f"{geometry} bias_term: false"), seed=1)
    if "dilation" not in geometry:  # the authors' layer has none
        check_exactly(active("AConvFast", geometry))


@pytest.mark.parametrize(("groups", "sets"), GROUPS_AND_SETS)
@pytest.mark.parametrize("stride", [1, 2])
def test_every_grouping(groups, sets, stride):
    geometry = f"kernel_size: 3 pad: 1 stride: {stride} group: {groups}"
    text = active("GroupedACU", geometry, f"acu_param {{ position_group: {sets} }}")
    check_exactly(text)
    (convolution,) = convert_to_convolutions(trained_of(text)).layers[0].convolutions.kernels
    assert convolution.groups == groups
    assert convolution.weight.shape[:2] == (24, CHANNELS // groups)


@pytest.mark.parametrize(
    ("type_", "geometry", "more"),
    [
        ("ACU", "pad: 2 stride: 2", LISTED),
        ("ACU", "pad_h: 0 pad_w: 3", LISTED),
        ("GroupedACU", "group: 12", LISTED),
        ("AConvFast", "kernel_size: 3 pad: 1", "aconv_param { position_group: 3 }"),
        ("AConvFast", "kernel_size: 3 stride: 2", "aconv_param { type: CIRCLE pad: 2 position_group: 2 }"),
        ("AConvFast", "kernel_h: 1 kernel_w: 5", "aconv_param { type: RANDOM pad_h: 1 pad_w: 0 }"),
    ],
)
def test_listed_positions_and_the_authors_sets(type_, geometry, more):
    check_exactly(active(type_, geometry, more))


def test_several_bottoms():
    text = active("ACU", "kernel_size: 3", bottoms="bottom: 'data' bottom: 'data' top: 'a' top: 'b'")
    check_exactly(text)
    check_exactly(text, ConvolutionOptions(max_kernel=9, wide="dilated"))


@pytest.mark.parametrize(
    "geometry", ["kernel_size: 3 pad: 1 stride: 2", "kernel_size: 2 bias_term: false", "kernel_size: 4 pad: 5"]
)
@pytest.mark.parametrize("groups", [1, 12])
def test_dilated_convolutions(geometry, groups):
    trained = trained_of(active("GroupedACU", f"{geometry} group: {groups}", "acu_param { position_group: 1 }"))
    trained.blobs["a"][2][0, 0, 0, 0], trained.blobs["a"][3][0, 0, 0, 1] = 40.5, -33
    converted = convert_to_convolutions(trained, ConvolutionOptions(wide="dilated"))
    assert len(converted.layers[0].results) > 2
    for shape in (SHAPE, *OTHER_SHAPES):
        values = image(shape)
        expected = run(trained.net, trained.blobs, values)["a"]
        np.testing.assert_array_equal(run(converted.net, converted.blobs, values)["a"], expected)
    verify(trained, converted)


def test_real_positions():
    trained = trained_of(
        active("GroupedACU", "kernel_size: 3 pad: 1 group: 2", "acu_param { position_group: 3 }"), exact=False
    )
    differences = verify(trained, convert_to_convolutions(trained)).layers["a"]
    assert 0 < differences.largest < 2e-5
    assert 0 < differences.explained < 0.2


def test_the_kernel_is_no_larger_than_the_positions_ask_for():
    trained = trained_of(active("ACU", "kernel_size: 3 pad: 1"))
    weight, bias, x, y = trained.blobs["a"]
    x[...] = np.array([[-2, -1, 0], [0, 0.5, 1], [2.25, 0, 0]])
    y[...] = np.array([[-1, 0, 0], [0, 1, 0], [0, 0, 0]])
    (layer,) = convert_to_convolutions(trained).layers
    (kernel,) = layer.convolutions.kernels
    assert kernel.weight.shape == (24, CHANNELS, 3, 7)
    assert kernel.pad == (1, 3)


def test_only_fields_of_stock_caffe_are_left():
    text = active("GroupedACU", "kernel_size: 3 group: 2", "acu_param { warmup_iter: 3 } include { phase: TEST }")
    text += "layer { name: 'relu' type: 'ReLU' bottom: 'a' top: 'a' acu_param { warmup_iter: 1 } }"
    text += "layer { name: 'score' type: 'InnerProduct' bottom: 'a' top: 'score' param { lr_mult: 1 } "
    text += "inner_product_param { num_output: 3 weight_filler { type: 'msra' } } }"
    net = convert_to_convolutions(trained_of(text)).net
    _, convolution, relu, product = net.layer
    assert {field.name for field, _ in convolution.ListFields()} == {
        "name",
        "type",
        "bottom",
        "top",
        "convolution_param",
    }
    fields = {field.name for field, _ in convolution.convolution_param.ListFields()}
    assert fields == {"num_output", "kernel_size", "pad", "group"}
    assert {field.name for field, _ in relu.ListFields()} == {"name", "type", "bottom", "top"}
    assert [field.name for field, _ in product.inner_product_param.ListFields()] == ["num_output"]
    assert not product.param


@pytest.mark.parametrize("folder", trained_nets.FAMILIES)
def test_families_of_networks(folder, tmp_path):
    """For inputs of another size than the prototxt's, where the network can have any."""
    trained = read_trained(*trained_nets.trained(folder, tmp_path))
    converted = convert_to_convolutions(trained, ConvolutionOptions(fold=True))
    assert not any(layer.type in ACTIVE_TYPES for layer in converted.net.layer)
    active_layers = [layer.name for layer in trained.net.layer if layer.type in ACTIVE_TYPES]
    assert [layer.name for layer in converted.layers if layer.active] == active_layers
    height, width = trained_nets.FAMILIES[folder]
    shape = (height, width + 16) if height == width == 32 else (width, height)
    values = np.random.default_rng(1).normal(size=(1, 3, *shape)).astype(np.float32)
    before, after = (run(net.net, net.blobs, values) for net in (trained, converted))
    (softmax,) = (layer for layer in trained.net.layer if layer.type == "Softmax")
    for name in (softmax.bottom[0], softmax.top[0]):
        np.testing.assert_allclose(after[name], before[name], atol=1e-4 * np.abs(before[name]).max(), err_msg=name)


def test_shared_weights_stay_shared_where_they_are_the_same_kernel():
    """Two layers share weights and bias, and in the second case positions too."""
    text = input_text((1, 3, 6, 7))
    for name in "ab":
        text += f"layer {{ name: '{name}' type: 'ACU' bottom: 'data' top: '{name}' param {{ name: 'w' }} "
        text += "param { name: 'bias' } convolution_param { num_output: 2 kernel_size: 3 } }"
    trained = trained_of(text)
    trained.blobs["b"][:2] = trained.blobs["a"][:2]
    values = image((1, 3, 6, 7))
    for names in (["", "bias"], ["w", "bias"]):
        converted = convert_to_convolutions(trained)
        assert [[param.name for param in layer.param] for layer in converted.net.layer[1:]] == [names] * 2
        before, after = (run(net.net, net.blobs, values) for net in (trained, converted))
        for name in "ab":
            np.testing.assert_array_equal(before[name], after[name])
        trained.blobs["b"][2:] = trained.blobs["a"][2:]


def test_without_active_layers_nothing_changes():
    text = input_text(SHAPE) + "layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'c' "
    text += "convolution_param { num_output: 2 kernel_size: 3 } }"
    trained = trained_of(text)
    converted = convert_to_convolutions(trained)
    assert converted.layers == ()
    assert list(converted.net.layer) == list(trained.net.layer)


def test_an_output_that_overflows_is_refused():
    trained = trained_of(active("ACU", "kernel_size: 3"), exact=False)
    trained.blobs["a"][0][...] = 3e38
    trained.blobs["a"][2][...] = trained.blobs["a"][3][...] = 0
    with pytest.raises(UserError, match=r"layer 'a' \(ACU\): weights that are too large for single precision"):
        convert_to_convolutions(trained)
