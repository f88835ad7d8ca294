"""Every layer type that is exported to ONNX, in all its settings, in ONNX Runtime against pycaffe."""

import numpy as np
import onnx
import pytest

from active_pair import layer
from caffe_acu.onnx.handlers.registry import HANDLERS
from onnx_nets import Exported

ROUNDING = 1e-5  # of the largest value


def image(channels: int = 6, height: int = 9, width: int = 7, batch: int = 2, name: str = "data") -> str:
    return shaped(batch, channels, height, width, name=name)


def shaped(*dims: int, name: str = "data") -> str:
    shape = " ".join(f"dim: {n}" for n in dims)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {shape} }} }} }}\n'


def of_data(type_: str, text: str = "") -> str:
    """An image and a layer that reads it."""
    return image() + layer("it", type_, "data", text)


def conv(text: str, type_: str = "Convolution") -> str:
    return of_data(type_, f"convolution_param {{ {text} }}")


# What stands in the line of a network, by layer type; all with an open batch.
OPEN = {
    "Convolution": [
        conv("num_output: 4 kernel_size: 3"),
        conv("num_output: 4 kernel_h: 3 kernel_w: 2 pad_h: 2 pad_w: 0 stride_h: 1 stride_w: 3 bias_term: false"),
        conv("num_output: 6 group: 3 kernel_size: 3 kernel_size: 2 dilation: 2 dilation: 3 pad: 1 pad: 4 stride: 2"),
        conv("num_output: 12 group: 6 kernel_size: 5 pad: 2"),
        image() + image(name="more")
        + 'layer { name: "it" type: "Convolution" bottom: "data" bottom: "more" top: "it" top: "too" '
        + "convolution_param { num_output: 2 kernel_size: 3 } }",
        shaped(2, 3, 11) + layer("it", "Convolution", "data", "convolution_param { num_output: 4 kernel_size: 3 }"),
    ],
    "Deconvolution": [
        conv("num_output: 4 kernel_size: 3 stride: 2 pad: 1", "Deconvolution"),
        conv("num_output: 6 group: 2 kernel_h: 2 kernel_w: 4 stride: 3 bias_term: false", "Deconvolution"),
    ],
    "BatchNorm": [
        of_data("BatchNorm", "batch_norm_param { eps: 0.1 }"),
        shaped(2, 5) + layer("it", "BatchNorm", "data"),
        # One by one: followed by a Scale of others, read twice, in place.
        of_data("BatchNorm") + layer("s", "Scale", "it", "scale_param { axis: 2 num_axes: 1 }"),
        of_data("BatchNorm") + layer("s", "Scale", "it") + layer("sum", "Eltwise", "it s"),
        image() + layer("a", "AbsVal", "data") + layer("b", "BatchNorm", "a", top="a")
        + layer("s", "Scale", "a", "scale_param { bias_term: true }", top="a") + layer("r", "ReLU", "a", top="a"),
        of_data("BatchNorm") + layer("s", "Bias", "it", top="it"),
    ],
    "Scale": [
        of_data("Scale"),
        of_data("Scale", "scale_param { axis: -2 num_axes: 2 bias_term: true }"),
        of_data("Scale", "scale_param { axis: 1 num_axes: -1 bias_term: true }"),
        of_data("Scale", "scale_param { axis: 0 num_axes: 0 }"),
        image() + shaped(2, 6, name="gate") + layer("it", "Scale", "data gate", "scale_param { axis: 0 }"),
        image() + image(name="more") + layer("it", "Scale", "data more", "scale_param { axis: 0 }"),
    ],
    "Bias": [
        of_data("Bias", "bias_param { axis: 1 num_axes: 2 }"),
        image() + shaped(2, 6, name="gate") + layer("it", "Bias", "data gate", "bias_param { axis: 0 }"),
    ],
    "ReLU": [of_data("ReLU"), of_data("ReLU", "relu_param { negative_slope: 0.3 }")],
    "PReLU": [
        of_data("PReLU"),
        of_data("PReLU", "prelu_param { channel_shared: true }"),
        shaped(2, 5) + layer("it", "PReLU", "data"),
    ],
    "ELU": [of_data("ELU", "elu_param { alpha: 0.7 }")],
    "Swish": [of_data("Swish"), of_data("Swish", "swish_param { beta: 1.7 }")],
    "Clip": [of_data("Clip", "clip_param { min: -0.5 max: 1 }")],
    "Threshold": [of_data("Threshold", "threshold_param { threshold: 0.2 }")],
    "Power": [
        of_data("Power", "power_param { power: 2 scale: 1.5 shift: -0.5 }"),
        of_data("Power", "power_param { scale: 0.5 }"),
        of_data("Power", "power_param { power: 3 }"),
    ],
    "Exp": [of_data("Exp"), of_data("Exp", "exp_param { base: 3 scale: 0.5 shift: 0.7 }")],
    "Log": [
        image() + layer("e", "Exp", "data") + layer("it", "Log", "e", "log_param { base: 2 scale: 0.5 shift: 0.7 }"),
        image() + layer("e", "Exp", "data", "exp_param { scale: 0.3 }") + layer("it", "Log", "e"),
    ],
    "AbsVal": [of_data("AbsVal")],
    "BNLL": [of_data("BNLL")],
    "Sigmoid": [of_data("Sigmoid")],
    "TanH": [of_data("TanH")],
    "Dropout": [of_data("Dropout", "dropout_param { dropout_ratio: 0.9 }")],
    "LRN": [
        of_data("LRN", "lrn_param { alpha: 2 beta: 0.6 k: 1.5 }"),
        of_data("LRN", "lrn_param { alpha: 2 local_size: 3 }"),
        of_data("LRN", "lrn_param { alpha: 2 beta: 0.6 k: 3 local_size: 3 norm_region: WITHIN_CHANNEL }"),
    ],
    "Eltwise": [
        image() + layer("a", "AbsVal", "data") + layer("b", "TanH", "data") + layer("it", "Eltwise", "data a b", text)
        for text in (
            "",
            "eltwise_param { coeff: 0.5 coeff: -1 coeff: 1 }",
            "eltwise_param { operation: PROD }",
            "eltwise_param { operation: MAX }",
        )
    ] + [image() + layer("a", "AbsVal", "data") + layer("it", "Eltwise", "data a")],
    "Concat": [
        image() + layer("a", "AbsVal", "data") + layer("it", "Concat", "data a data", text)
        for text in ("", "concat_param { axis: -1 }", "concat_param { concat_dim: 2 }")
    ],
    "Slice": [
        image() + 'layer { name: "it" type: "Slice" bottom: "data" top: "a" top: "b" top: "c" ' + text + " }"
        for text in (
            "",
            "slice_param { slice_point: 1 slice_point: 5 }",
            "slice_param { axis: -2 }",
            "slice_param { slice_dim: 2 slice_point: 2 slice_point: 3 }",
        )
    ],
    "Split": [image() + 'layer { name: "it" type: "Split" bottom: "data" top: "a" top: "b" }'],
    "InnerProduct": [
        of_data("InnerProduct", "inner_product_param { num_output: 5 }"),
        of_data("InnerProduct", "inner_product_param { num_output: 5 transpose: true bias_term: false }"),
        of_data("InnerProduct", "inner_product_param { num_output: 5 axis: 2 }"),
        of_data("InnerProduct", "inner_product_param { num_output: 5 axis: -1 transpose: true bias_term: false }"),
        shaped(2, 7) + layer("it", "InnerProduct", "data", "inner_product_param { num_output: 5 }"),
    ],
    "Softmax": [of_data("Softmax"), of_data("Softmax", "softmax_param { axis: -1 }")],
    "Flatten": [
        of_data("Flatten"),
        of_data("Flatten", "flatten_param { axis: 2 }"),
        of_data("Flatten", "flatten_param { axis: 1 end_axis: 2 }"),
    ],
    "Reshape": [
        of_data("Reshape", f"reshape_param {{ {text} }}")
        for text in (
            "shape { dim: 0 dim: -1 dim: 7 }",
            "shape { dim: -1 dim: 18 dim: 21 }",
            "shape { dim: 3 dim: 2 } axis: 1 num_axes: 1",
            "shape { dim: -1 } axis: -3",
        )
    ],
    "Silence": [image() + layer("a", "AbsVal", "data") + 'layer { name: "it" type: "Silence" bottom: "data" }'],
}  # fmt: skip


@pytest.mark.parametrize(("type_", "number"), [(type_, i) for type_, nets in OPEN.items() for i in range(len(nets))])
def test_a_layer(tmp_path, type_, number):
    exported = Exported(tmp_path, OPEN[type_][number])
    assert exported.code == 0
    for batch in (2, 3):
        assert max(exported.differences(batch).values()) <= ROUNDING
    assert all(value.type.tensor_type.shape.dim[0].dim_param == "N" for value in exported.model.graph.input)


def test_every_type_that_can_be_written_is_here():
    elsewhere = {"Pooling", "ACU", "GroupedACU", "AConvFast"}
    assert set(HANDLERS) == set(OPEN) | elsewhere


# Networks in which layers do not work on one image at a time.
FIXED = [
    image() + layer("it", "Concat", "data data", "concat_param { axis: 0 }"),
    image(batch=3) + 'layer { name: "it" type: "Slice" bottom: "data" top: "a" top: "b" '
    + "slice_param { axis: 0 slice_point: 1 } }",
    of_data("Softmax", "softmax_param { axis: 0 }"),
    of_data("Flatten", "flatten_param { axis: 0 end_axis: 1 }"),
    of_data("InnerProduct", "inner_product_param { num_output: 5 axis: 0 }"),
    of_data("Scale", "scale_param { axis: 0 num_axes: 2 bias_term: true }"),
    of_data("Bias", "bias_param { axis: 0 }"),
    of_data("Reshape", "reshape_param { shape { dim: 2 dim: -1 } }"),
    of_data("Reshape", "reshape_param { shape { dim: -1 dim: 7 } }"),
    of_data("Reshape", "reshape_param { shape { dim: 1 dim: 2 } num_axes: 1 }"),
    image() + image(name="more", batch=3) + layer("it", "AbsVal", "data") + layer("too", "AbsVal", "more"),
    shaped(5) + layer("it", "AbsVal", "data") + shaped(3, 2, name="more") + layer("too", "AbsVal", "more"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FIXED)))
def test_a_network_that_mixes_images_keeps_their_number(tmp_path, number, capsys):
    exported = Exported(tmp_path, FIXED[number])
    assert exported.code == 0
    assert "the number of images is fixed, as in the prototxt: " in capsys.readouterr().out
    assert max(exported.differences().values()) <= ROUNDING
    (*_, value) = exported.model.graph.input
    assert value.type.tensor_type.shape.dim[0].dim_value in (2, 3)


POOLINGS = [(k, s, p) for k in (2, 3) for s in (1, 2, 3) for p in (0, 1)]
SIZES = [(5, 8), (6, 9), (7, 5), (8, 6), (9, 7)]


def pooling(name: str, text: str) -> str:
    return layer(name, "Pooling", "data", f"pooling_param {{ {text} }}")


def last_window_is_empty(size: int, kernel: int, stride: int, pad: int) -> bool:
    """What Caffe does: as many windows as it takes to reach the last pixel, and, padded, none that starts behind it."""
    starts = [-pad]
    while starts[-1] + kernel < size + pad:
        starts.append(starts[-1] + stride)
    return pad == 0 and starts[-1] >= size


@pytest.mark.parametrize("mode", ["CEIL", "FLOOR"])
@pytest.mark.parametrize("size", SIZES)
def test_pooling_of_all_kinds(tmp_path, size, mode):
    text = image(2, *size)
    for k, s, p in POOLINGS:
        param = f"kernel_size: {k} stride: {s} pad: {p} round_mode: {mode}"
        text += pooling(f"max{k}{s}{p}", f"pool: MAX {param}")
        if mode == "FLOOR" or not any(last_window_is_empty(n, k, s, p) for n in size):
            text += pooling(f"ave{k}{s}{p}", f"pool: AVE {param}")
    exported = Exported(tmp_path, text)
    assert exported.code == 0
    assert max(exported.differences(3).values()) <= ROUNDING


@pytest.mark.parametrize(
    "text",
    [
        "kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 0 pad_w: 1",
        "kernel_h: 2 kernel_w: 5 stride_h: 3 stride_w: 2 pad_h: 1 pad_w: 0",  # padded along one axis only
        "kernel_size: 7 stride: 2 pad: 3",
        "kernel_h: 11 kernel_w: 3 stride_h: 4 stride_w: 1 pad_h: 2 pad_w: 1",  # larger than the padded image
        "kernel_h: 9 kernel_w: 4 pad_h: 4 pad_w: 3 stride: 3",
        "global_pooling: true",
    ],
)
def test_pooling_with_windows_of_other_shapes(tmp_path, text):
    both = pooling("max", f"pool: MAX {text}") + pooling("ave", f"pool: AVE {text}")
    exported = Exported(tmp_path, image(2, 5, 8) + both)
    assert exported.code == 0
    assert max(exported.differences(3).values()) <= ROUNDING


def test_normalisation_and_scale_become_one_node(tmp_path):
    model = Exported(tmp_path, OPEN["BatchNorm"][4]).model
    assert [node.op_type for node in model.graph.node] == ["Abs", "BatchNormalization", "Relu"]
    assert [node.output[0] for node in model.graph.node] == ["a/a", "a/s", "a"]


def test_names_of_an_input_that_is_written_over(tmp_path):
    text = image() + layer("r", "ReLU", "data", top="data") + layer("t", "TanH", "data", top="data")
    graph = Exported(tmp_path, text).model.graph
    assert [value.name for value in graph.input] == ["data"]
    assert [node.output[0] for node in graph.node] == ["data/r", "data/t"]
    assert [value.name for value in graph.output] == ["data/t"]


def test_names_that_are_taken(tmp_path):
    text = image() + layer("c", "ELU", "data", top="a") + layer("b", "TanH", "a", top="a")
    text += layer("r", "ReLU", "data", top="a/c")
    exported = Exported(tmp_path, text)
    assert exported.code == 0
    assert max(exported.differences().values()) <= ROUNDING


@pytest.mark.parametrize("opset", ["13", "17", "22"])
def test_other_opsets(tmp_path, opset):
    text = "".join(
        nets[0].replace(image(), "").replace('"it"', f'"{type_}"') for type_, nets in OPEN.items()
        if nets[0].startswith(image()) and nets[0].count("layer {") == 2 and type_ not in ("Slice", "Silence", "Split")
    )  # fmt: skip
    exported = Exported(tmp_path, image() + text + pooling("max", "kernel_size: 2"), "--opset", opset)
    assert exported.code == 0
    assert exported.model.opset_import[0].version == int(opset)
    assert max(exported.differences(3).values()) <= ROUNDING


def test_what_a_model_says_of_itself(tmp_path):
    model = Exported(tmp_path, 'name: "mine" ' + of_data("ReLU")).model
    assert (model.producer_name, model.doc_string) == ("caffe-acu", "from net.prototxt and net.caffemodel")
    assert model.graph.name == "mine"
    onnx.checker.check_model(model, full_check=True)
    assert np.prod([d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim][1:]) == 6 * 9 * 7
