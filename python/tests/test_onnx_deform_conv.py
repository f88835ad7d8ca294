"""Active convolutions in ONNX, as convolutions and as DeformConv, in ONNX Runtime and in ONNX's own evaluator."""

import caffe
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from active_pair import layer
from onnx_nets import Exported
from test_onnx_layers import ROUNDING, image

POSITIONS = "position { x: 0 y: 0 } position { x: 1.5 y: -0.5 } position { x: -2 y: 1 } position { x: 0.3 y: 2.7 }"

# Each with an odd size, on 6 channels.
ACTIVE = {
    "lattice": ("ACU", "num_output: 4 kernel_size: 3 pad: 1", ""),
    "strides": ("ACU", "num_output: 4 kernel_h: 3 kernel_w: 5 stride_h: 2 stride_w: 3 bias_term: false", ""),
    "even": ("ACU", "num_output: 4 kernel_h: 2 kernel_w: 4 pad_h: 1 pad_w: 2 stride: 2", ""),
    "dilated": ("ACU", "num_output: 4 kernel_size: 3 pad: 2 dilation: 2 dilation: 3", ""),
    "1x1": ("ACU", "num_output: 4 kernel_size: 1", ""),
    "listed": ("ACU", "num_output: 4", f"acu_param {{ {POSITIONS} }}"),
    "listed, padded": ("ACU", "num_output: 4 pad: 2 stride: 2", f"acu_param {{ {POSITIONS} }}"),
    "grouped": ("GroupedACU", "num_output: 9 kernel_size: 3 group: 3 pad: 1", ""),
    "depthwise": ("GroupedACU", "num_output: 6 kernel_size: 3 group: 6 pad: 1 stride: 2", ""),
    "shared": ("GroupedACU", "num_output: 6 kernel_size: 3 group: 6 pad: 1", "acu_param { position_group: 1 }"),
    "mixed": ("GroupedACU", "num_output: 4 kernel_size: 3 group: 2 pad: 1", "acu_param { position_group: 3 }"),
    "sets only": ("GroupedACU", "num_output: 4 kernel_size: 3 pad: 1", "acu_param { position_group: 6 }"),
    "authors' square": ("AConvFast", "num_output: 4 kernel_size: 3 pad: 1", "aconv_param { position_group: 1 }"),
    "authors' ring": ("AConvFast", "num_output: 4 kernel_size: 3", "aconv_param { type: CIRCLE position_group: 1 }"),
    "authors' sets": ("AConvFast", "num_output: 6 kernel_size: 3 pad: 1", "aconv_param { position_group: 3 }"),
}


def active(name: str, size: tuple[int, int] = (9, 7)) -> str:
    type_, convolution, more = ACTIVE[name]
    return image(6, *size) + layer("it", type_, "data", f"convolution_param {{ {convolution} }} {more}")


@pytest.mark.parametrize("option", [[], ["--deform-conv"]])
@pytest.mark.parametrize("name", ACTIVE)
def test_an_active_layer(tmp_path, name, option):
    exported = Exported(tmp_path, active(name), *option)
    assert exported.code == 0
    assert ("DeformConv" in {node.op_type for node in exported.model.graph.node}) == bool(option)
    assert exported.differences(3)["it"] <= ROUNDING


@pytest.mark.parametrize("name", ["even", "dilated", "listed, padded", "mixed", "authors' sets"])
def test_deform_conv_in_the_reference_evaluator(tmp_path, name):
    exported = Exported(tmp_path, active(name, (5, 4)), "--deform-conv")
    net = caffe.Net(str(exported.net), str(exported.weights), caffe.TEST)
    images = np.random.default_rng(0).normal(size=net.blobs["data"].data.shape).astype(np.float32)
    net.blobs["data"].data[...] = images
    net.forward()
    (found,) = ReferenceEvaluator(exported.model).run(None, {"data": images})
    theirs = net.blobs["it"].data
    assert found.shape == theirs.shape
    assert np.abs(found - theirs).max() <= ROUNDING * np.abs(theirs).max()


def test_bottoms_of_several_sizes_share_weights(tmp_path):
    text = image(6) + image(6, 5, 11, name="more")
    text += (
        'layer { name: "it" type: "GroupedACU" bottom: "data" bottom: "more" top: "it" top: "too" '
        "convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 2 } }"
    )
    for option in ([], ["--deform-conv"]):
        exported = Exported(tmp_path, text, *option)
        assert exported.code == 0
        assert max(exported.differences(3).values()) <= ROUNDING
        assert len([one for one in exported.model.graph.initializer if "weight" in one.name]) == 1


def test_offsets_are_no_larger_than_the_positions(tmp_path):
    model = Exported(tmp_path, active("mixed"), "--deform-conv").model
    (offsets,) = [one for one in model.graph.initializer if "offsets" in one.name]
    assert list(offsets.dims) == [1, 3 * 9 * 2, 1, 1]


def test_a_fixed_batch(tmp_path):
    text = active("mixed") + image(6, batch=3, name="more")  # batches of two sizes
    text += layer("too", "ACU", "more", "convolution_param { num_output: 2 kernel_size: 3 }")
    exported = Exported(tmp_path, text, "--deform-conv")
    assert exported.code == 0
    assert max(exported.differences().values()) <= ROUNDING


@pytest.mark.parametrize("opset", ["19", "22"])
def test_older_opsets(tmp_path, opset):
    exported = Exported(tmp_path, active("mixed"), "--deform-conv", "--opset", opset)
    assert exported.code == 0
    onnx.checker.check_model(exported.model, full_check=True)
    assert exported.differences(3)["it"] <= ROUNDING
