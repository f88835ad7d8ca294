"""What becomes one box of a drawing, what it says, and what it reads."""

import caffe
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.drawing.network import draw_network
from caffe_acu.drawing.steps import in_one_phase, steps_of
from caffe_acu.drawing.words import Kind, describe
from caffe_acu.errors import UserError
from caffe_acu.net_param import format_prototxt
from draw_nets import CONV1, CONV3, bn_relu, boxes, data, layer, parse, seen

IN_PLACE = bn_relu("conv")
WITH_BLOBS = (
    layer("BatchNorm", "conv", "b") + layer("Scale", "b", "c") + layer("ReLU", "c", "d") + layer("Dropout", "d", "e")
)


@pytest.mark.parametrize(("after", "says"), [(IN_PLACE, "BN ReLU"), (WITH_BLOBS, "BN ReLU dropout")])
def test_what_follows_a_convolution_is_in_its_box(after, says):
    found = boxes(data(1, 3, 8, 8) + layer("Convolution", "data", "conv", CONV3) + after)
    assert seen(found) == [("data", "", ()), ("3×3 conv, 4", says, (0,))]
    assert found[1].layers[0] == "conv"
    assert len(found[1].layers) == 1 + after.count("layer {")


def test_what_two_layers_read_ends_a_box():
    found = boxes(
        data(1, 4, 8, 8)
        + layer("Convolution", "data", "a", CONV3)
        + layer("BatchNorm", "a", "b")
        + layer("Scale", "b", "b", name="s")
        + layer("ReLU", "b", "b", name="r")
        + layer("Convolution", "b", "c", CONV3)
        + layer("Convolution", "b", "project", CONV1)
        + layer("Eltwise", "c project a", "sum")
    )
    assert seen(found) == [
        ("data", "", ()),
        ("3×3 conv, 4", "", (0,)),
        ("BN ReLU", "", (1,)),
        ("3×3 conv, 4", "", (2,)),
        ("1×1 conv, 4", "", (2,)),
        ("+", "", (3, 4, 1)),
    ]
    assert found[2].kind == Kind.FUNCTION
    assert found[2].layers == ("b", "s", "r")


def test_a_layer_in_place_counts_for_those_after_it():
    found = boxes(
        data(1, 4, 8, 8)
        + layer("Convolution", "data", "a", CONV3)
        + layer("Pooling", "a", "before", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("ReLU", "a", "a", name="relu")
        + layer("Pooling", "a", "after", "pooling_param { pool: AVE kernel_size: 3 }")
    )
    assert seen(found)[2:] == [("2×2 max pool /2", "", (1,)), ("ReLU", "", (1,)), ("3×3 average pool", "", (3,))]


def test_branches_and_their_concatenation():
    found = boxes(
        data(1, 4, 8, 8)
        + layer("Split", "data", "s1 s2")
        + layer("Convolution", "s1", "a", CONV1)
        + bn_relu("a")
        + layer("Pooling", "s2", "pool", "pooling_param { kernel_size: 3 pad: 1 }")
        + layer("Convolution", "pool", "b", CONV1)
        + layer("Concat", "b a", "joined")
        + layer("Softmax", "joined", "prob")
    )
    assert seen(found) == [
        ("data", "", ()),
        ("1×1 conv, 4", "BN ReLU", (0,)),
        ("3×3 max pool", "", (0,)),
        ("1×1 conv, 4", "", (2,)),
        ("concat", "", (3, 1)),
        ("softmax", "", (4,)),
    ]
    assert [found[0].kind, found[4].kind, found[5].kind] == [Kind.INPUT, Kind.CONCAT, Kind.OUTPUT]


JUDGED = """
layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: TRAIN } }
layer { name: 'data' type: 'Data' top: 'data' top: 'label' include { phase: TEST } }
layer { name: 'fc' type: 'InnerProduct' bottom: 'data' top: 'fc' inner_product_param { num_output: 10 } }
layer { name: 'drop' type: 'Dropout' bottom: 'fc' top: 'fc' include { phase: TRAIN } }
layer { name: 'loss' type: 'SoftmaxWithLoss' bottom: 'fc' bottom: 'label' }
layer { name: 'top5' type: 'Accuracy' bottom: 'fc' bottom: 'label' top: 'top5' include { phase: TEST }
  accuracy_param { top_k: 5 } }
layer { name: 'quiet' type: 'Silence' bottom: 'label' }
"""


def test_phases_differ_and_labels_are_left_out():
    start = [("data", "", ())]
    assert seen(boxes(JUDGED)) == [
        *start,
        ("fully connected, 10", "", (0,)),
        ("softmax loss", "", (1,)),
        ("top-5 accuracy", "", (1,)),
    ]
    train = [*start, ("fully connected, 10", "dropout", (0,)), ("softmax loss", "", (1,))]
    assert seen(boxes(JUDGED, caffe_pb2.TRAIN)) == train


def test_an_input_of_labels_alone_is_left_out():
    found = boxes(
        data(1, 4, 1, 1)
        + layer("Input", "", "label", "input_param { shape { dim: 1 } }")
        + layer("Flatten", "data", "flat")
        + layer("HingeLoss", "flat label", "loss")
    )
    assert seen(found) == [("data", "", ()), ("flatten", "", (0,)), ("HingeLoss", "", (1,))]


def test_inputs_from_before_there_were_input_layers():
    found = boxes("input: 'x' input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8\n" + layer("Pooling", "x", "y"))
    assert [box.sources for box in found] == [(), (0,)]
    assert found[0].words.title == "x"


def test_a_bottom_that_nothing_makes():
    with pytest.raises(UserError, match="layer 'c': no layer before it makes its bottom 'b'"):
        boxes(data(1, 3, 8, 8) + layer("Convolution", "b", "c", CONV3))


def test_a_phase_without_layers():
    with pytest.raises(UserError, match="no layer is in the phase test"):
        draw_network(parse(layer("Input", "", "x", "include { phase: TRAIN }")))


@pytest.mark.parametrize(
    ("type_", "param", "kind", "title", "note"),
    [
        ("Convolution", "num_output: 64 kernel_size: 7 stride: 2", "CONVOLUTION", "7×7 conv, 64 /2", ""),
        ("Convolution", "num_output: 8 kernel_h: 1 kernel_w: 3 group: 4", "CONVOLUTION", "1×3 conv, 8", "groups 4"),
        ("Convolution", "num_output: 8 kernel_size: 3 group: 8", "CONVOLUTION", "3×3 depthwise conv, 8", ""),
        ("Convolution", "num_output: 1 kernel_size: 3", "CONVOLUTION", "3×3 conv, 1", ""),
        ("Convolution", "num_output: 8 kernel_size: 3 dilation: 2", "CONVOLUTION", "3×3 conv, 8", "dilation 2"),
        (
            "Deconvolution",
            "num_output: 8 kernel_size: 4 stride_h: 1 stride_w: 2",
            "CONVOLUTION",
            "4×4 deconv, 8 /1×2",
            "",
        ),
        ("ACU", "num_output: 48 kernel_size: 3", "ACU", "3×3 ACU, 48", "1 set × 9 synapses"),
        ("ACU", "num_output: 48 kernel_size: 1", "ACU", "1×1 ACU, 48", "1 set × 1 synapse"),
        (
            "ACU",
            "num_output: 48 kernel_size: 3 dilation: 2 } acu_param { dilation: 0.75",
            "ACU",
            "3×3 ACU, 48",
            "1 set × 9 synapses, dilation 1.5",
        ),
        (
            "ACU",
            "num_output: 48 stride: 2 } acu_param { position { x: 0 y: 0 } position { x: 1.5 y: 0 }",
            "ACU",
            "ACU, 48 /2",
            "1 set × 2 synapses",
        ),
        (
            "GroupedACU",
            "num_output: 8 kernel_size: 3 group: 4",
            "ACU",
            "3×3 ACU, 8",
            "4 sets × 9 synapses, groups 4",
        ),
        (
            "GroupedACU",
            "num_output: 8 kernel_size: 3 group: 8 } acu_param { position_group: 1",
            "ACU",
            "3×3 depthwise ACU, 8",
            "1 set × 9 synapses",
        ),
        ("AConvFast", "num_output: 48 kernel_size: 3", "ACU", "3×3 ACU, 48", "1 set × 9 synapses"),
    ],
)
def test_words_about_convolutions(type_, param, kind, title, note):
    (found,) = parse(layer(type_, "a", "b", f"convolution_param {{ {param} }}")).layer
    says = describe(found)
    assert (says.kind, says.title, says.note) == (Kind[kind], title, note)


@pytest.mark.parametrize(
    ("type_", "param", "kind", "title"),
    [
        ("Pooling", "pooling_param { pool: AVE global_pooling: true }", "POOLING", "global average pool"),
        ("Pooling", "pooling_param { kernel_h: 2 kernel_w: 3 stride: 2 }", "POOLING", "2×3 max pool /2"),
        ("Eltwise", "", "OPERATOR", "+"),
        ("Eltwise", "eltwise_param { operation: PROD }", "OPERATOR", "×"),
        ("Eltwise", "eltwise_param { operation: MAX }", "OPERATOR", "max"),
        ("Scale", "bottom: 'c'", "OPERATOR", "×"),
        ("Scale", "", "FUNCTION", "scale"),
        ("LRN", "", "OTHER", "LRN"),
        ("SomethingOfAStranger", "", "OTHER", "SomethingOfAStranger"),
    ],
)
def test_words_about_other_layers(type_, param, kind, title):
    (found,) = parse(layer(type_, "a", "b", param)).layer
    says = describe(found)
    assert (says.kind, says.title) == (Kind[kind], title)


def test_sizes_are_those_of_caffes_blobs(tmp_path):
    text = (
        data(1, 3, 17, 11)
        + layer("Convolution", "data", "conv", "convolution_param { num_output: 6 kernel_size: 5 stride: 2 }")
        + bn_relu("conv")
        + layer("GroupedACU", "conv", "acu", "convolution_param { num_output: 6 kernel_size: 3 pad: 1 group: 3 }")
        + layer("Pooling", "acu", "pool", "pooling_param { kernel_size: 2 stride: 2 }")
        + layer("Concat", "pool pool", "both")
        + layer("InnerProduct", "both", "fc", "inner_product_param { num_output: 7 }")
    )
    net = parse(text)
    path = tmp_path / "net.prototxt"
    path.write_text(format_prototxt(net))
    dot = draw_network(net).dot
    blobs = caffe.Net(str(path), caffe.TEST).blobs
    for name in ("data", "conv", "acu", "pool", "both", "fc"):
        (line,) = [line for line in dot.splitlines() if line.strip().startswith(f'"{name}" [')]
        assert "×".join(map(str, blobs[name].shape[1:])) in line.replace("fully connected, 7", "")


def test_a_network_whose_sizes_are_unknown_is_drawn():
    drawing = draw_network(
        parse(data(1, 3, 8, 8) + layer("Unheard", "data", "x") + layer("Convolution", "x", "y", CONV3))
    )
    assert "Unheard" in drawing.without_sizes
    assert "3×3 conv, 4" in drawing.dot
    assert "3×8×8" not in drawing.dot


def test_steps_hold_the_layers_in_their_order():
    net = in_one_phase(parse(JUDGED), caffe_pb2.TEST)
    assert [step.layer.name for step in steps_of(net)] == ["data", "fc", "loss", "top5"]
