"""Receptive fields against the pixels on which pycaffe's outputs depend: the support of gradients."""

import itertools
import re

import caffe
import numpy as np
import pytest

from active_pair import layer, type_of
from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.errors import UserError
from caffe_acu.inspection.receptive_field import NotFollowed, ReceptiveField, WholeImage, receptive_fields
from caffe_acu.net_param import read_net
from caffe_acu.positions import network_of, read

SIZE = (96, 90)


def data(channels: int = 4, size: tuple[int, int] = SIZE) -> str:
    shape = f"shape {{ dim: 1 dim: {channels} dim: {size[0]} dim: {size[1]} }}"
    return f'force_backward: true layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}\n'


def active(name: str, bottom: str, text: str, type_: str = "GroupedACU", more: str = "") -> str:
    return layer(name, type_, bottom, f"convolution_param {{ num_output: 4 {text} }} {more}")


def conv(name: str, bottom: str, text: str = "kernel_size: 1") -> str:
    return layer(name, "Convolution", bottom, f"convolution_param {{ num_output: 4 {text} }}")


def pool(name: str, bottom: str, text: str) -> str:
    return layer(name, "Pooling", bottom, f"pooling_param {{ pool: AVE {text} }}")


PAIR = "position { x: 2 y: -1 } position { x: -4 y: 3 }"
NETS = {
    "convolutions": conv("a", "data", "kernel_h: 3 kernel_w: 4 pad_h: 2 pad_w: 0 stride_h: 2 stride_w: 3 dilation: 2")
    + conv("b", "a", "kernel_size: 2 pad: 1"),
    "pooling": pool("a", "data", "kernel_size: 3 stride: 2")
    + pool("b", "a", "kernel_h: 2 kernel_w: 5 pad_h: 1 pad_w: 2 stride_h: 1 stride_w: 2"),
    "ACUs": active("a", "data", "kernel_size: 3 pad: 1 stride: 2", "ACU")
    + active("b", "a", "kernel_h: 5 kernel_w: 2 pad: 2 dilation: 2", "ACU")
    + active("c", "b", "pad: 1", "ACU", f"acu_param {{ {PAIR} }}"),
    "groups and sets": active("a", "data", "kernel_size: 3 pad: 2 stride_h: 2 stride_w: 1 group: 4")
    + conv("b", "a")
    + active("c", "b", "kernel_size: 4 pad: 1 group: 2", more="acu_param { position_group: 4 }"),
    "the authors' dialect": active(
        "a", "data", "kernel_size: 3 pad: 1 stride: 2", "AConvFast", "aconv_param { position_group: 2 }"
    )
    + active("b", "a", "kernel_size: 3 pad: 1", "AConvFast", "aconv_param { pos_filler_std: -1 }"),
    "branches": active("a", "data", "kernel_size: 3 pad: 1", "ACU")
    + layer("sum", "Eltwise", "a data")
    + layer("relu", "ReLU", "sum", top="sum")
    + layer("cut", "Slice", "sum", 'top: "other"')
    + active("b", "cut", "kernel_size: 3 pad: 1 stride: 2", "ACU")
    + pool("c", "other", "kernel_size: 3 stride: 2")
    + layer("cat", "Concat", "b c", "concat_param { axis: 1 }")
    + layer("norm", "LRN", "cat", "lrn_param { norm_region: WITHIN_CHANNEL local_size: 5 alpha: 1 }")
    + layer("end", "Scale", "norm", "scale_param { bias_term: true }"),
}  # fmt: skip


def make(folder, text: str, moved: bool, seed: int = 0) -> caffe.Net:
    """With positive weights, so that nothing cancels; positions on the lattice, or anywhere near it."""
    (folder / "net.prototxt").write_text(text)
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    rng = np.random.default_rng(seed)
    for name, blobs in net.params.items():
        blobs[0].data[...] = rng.uniform(0.5, 1, blobs[0].data.shape)
        if moved and type_of(net, name) in ACTIVE_TYPES:
            for blob in blobs[2:]:
                blob.data[...] += rng.uniform(-1.6, 1.6, blob.data.shape)
    return net


def seen(net: caffe.Net, top: str, unit: tuple[int, int]) -> tuple[int, int, int, int]:
    """First and last row and column of the pixels on which all channels of a unit together depend."""
    net.blobs["data"].data[...] = np.random.default_rng(1).uniform(1, 2, net.blobs["data"].data.shape)
    net.forward()
    net.blobs[top].diff[...] = 0
    net.blobs[top].diff[0, :, unit[0], unit[1]] = 1
    net.backward()
    pixels = np.argwhere(np.abs(net.blobs["data"].diff[0]).sum(axis=0) > 0)
    (first, left), (last, right) = pixels.min(axis=0), pixels.max(axis=0)
    return int(first), int(last), int(left), int(right)


def of_unit(field: ReceptiveField, unit: tuple[int, int]) -> tuple[float, float, float, float]:
    down, right = (place * jump for place, jump in zip(unit, field.jump, strict=True))
    box = field.pixels
    return box.top + down, box.bottom + down, box.left + right, box.right + right


def assert_sees(net: caffe.Net, fields, name: str) -> None:
    """At two units far from the borders, so that the jump counts as well."""
    height, width = net.blobs[name].data.shape[2:]
    for unit in ((height // 2, width // 2), (height // 2 - 1, width // 2 + 1)):
        expected = seen(net, name, unit)
        first, last, left, right = expected
        assert 0 < first and last < SIZE[0] - 1 and 0 < left and right < SIZE[1] - 1, "the test asks too much"
        assert of_unit(fields[name], unit) == expected


def fields_of_net(net: caffe.Net):
    active_ones = any(one.type in ACTIVE_TYPES for one in net.layers)
    return receptive_fields(network_of(net), read(net) if active_ones else [])


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("name", NETS)
def test_the_support_of_gradients(tmp_path, name, moved):
    net = make(tmp_path, data() + NETS[name], moved)
    assert_sees(net, fields_of_net(net), list(net.blobs)[-1])


def test_a_published_network(shared):
    """All of it, to the last layer before the image is averaged; and by the closed form of its convolutions."""
    net = network_of(shared / "golden" / "plain_iter_10000.caffemodel")
    fields = receptive_fields(net, read(shared / "golden" / "plain_iter_10000.caffemodel"))
    # 3x3 six times, the strides before each: 1 + 2 (1 + 1 + 1 + 2 + 2 + 4).
    assert fields["conv3_1/2"].pixels.size == (23, 23) and fields["conv3_1/2"].jump == (4, 4)
    assert fields["fc1"] == fields["conv3_1/2"]
    assert fields["prescore"] == WholeImage("prescore") == fields["score"]


def test_the_extent_is_real_valued(tmp_path):
    """All paths of synapses, one by one."""
    text = data() + active("a", "data", "kernel_size: 3 pad: 1 stride: 2", "ACU")
    text += pool("b", "a", "kernel_size: 2 stride: 2") + active("c", "b", "kernel_h: 1 kernel_w: 3 pad_w: 1", "ACU")
    net = make(tmp_path, text, moved=True)
    layers = read(net)
    field = receptive_fields(network_of(net), layers)["c"]
    (a, c), ends = layers, []
    for i, p, j in itertools.product(range(9), range(2), range(3)):
        ends.append([xs[0][i] + 2 * p + 4 * xc[0][j] for xs, xc in ((a.x, c.x), (a.y, c.y))])
    (left, top), (right, bottom) = np.min(ends, axis=0), np.max(ends, axis=0)
    box = field.extent
    assert (box.left, box.top, box.right, box.bottom) == pytest.approx((left, top, right, bottom), abs=1e-12)
    assert field.pixels.left <= box.left and box.right <= field.pixels.right
    assert box.size == pytest.approx((bottom - top + 1, right - left + 1))


def test_depthwise_layers_without_mixing_are_bounded(tmp_path):
    text = (
        data()
        + active("a", "data", "kernel_size: 3 pad: 1 group: 4")
        + active("b", "a", "kernel_size: 3 pad: 1 group: 4")
    )
    net = make(tmp_path, text, moved=False)
    for channel, (first, second) in enumerate(((3, 0), (0, 3), (0, 0), (0, 0))):
        net.params["a"][2].data[channel] += first
        net.params["b"][2].data[channel] += second
    field = fields_of_net(net)["b"]
    first, last, left, right = seen(net, "b", (40, 40))
    bounds = of_unit(field, (40, 40))
    assert bounds[:2] == (first, last)
    assert bounds[2] == left and bounds[3] == right + 3


def test_a_prototxt_is_taken_in_its_test_phase(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(
        layer("train", "Data", "", "include { phase: TRAIN }", top="data")
        + layer("test", "Data", "", "include { phase: TEST }", top="data")
        + layer("off", "Pooling", "data", "include { phase: TRAIN } pooling_param { kernel_size: 9 }", top="data")
        + active("a", "data", "kernel_size: 3", "ACU")
    )
    fields = receptive_fields(read_net(path), read(path))
    assert list(fields) == ["test", "a"] and fields["a"].pixels.size == (3, 3)
    old = 'input: "data" input_dim: 1 input_dim: 4 input_dim: 9 input_dim: 9 ' + active(
        "a", "data", "kernel_size: 5", "ACU"
    )
    path.write_text(old)
    assert receptive_fields(read_net(path), read(path))["a"].pixels.size == (5, 5)


def fields_of(folder, text: str):
    (folder / "net.prototxt").write_text(text)
    return receptive_fields(read_net(folder / "net.prototxt"), read(folder / "net.prototxt"))


NOT_FOLLOWED = {
    r"through layer 'up' \(Deconvolution\)": layer(
        "up", "Deconvolution", "a", "convolution_param { num_output: 4 kernel_size: 2 stride: 2 }"
    ),
    r"through layer 'flat' \(Flatten\)": layer("flat", "Flatten", "a"),
    r"'cat' .* another axis": layer("cat", "Concat", "a a", "concat_param { axis: 2 }"),
    r"'sum' .* steps of \(1, 1\) and \(2, 2\)": conv("s", "a", "kernel_size: 1 stride: 2")
    + layer("sum", "Eltwise", "a s"),
    r"through layer 'own' \(Python\)": layer("own", "Python", "a"),
}


@pytest.mark.parametrize("why", NOT_FOLLOWED)
def test_what_is_not_followed_is_named_and_stays_unknown(tmp_path, why):
    text = data() + active("a", "data", "kernel_size: 3 pad: 1", "ACU") + NOT_FOLLOWED[why]
    last = text.split('top: "')[-1].partition('"')[0]
    fields = fields_of(tmp_path, text + layer("end", "ReLU", last))
    assert isinstance(fields["a"], ReceptiveField)
    assert isinstance(fields["end"], NotFollowed)
    assert re.search(why, fields["end"].why)


def test_a_gate_of_the_whole_image(tmp_path):
    text = data() + active("a", "data", "kernel_size: 3 pad: 1", "ACU") + pool("gate", "a", "global_pooling: true")
    fields = fields_of(tmp_path, text + layer("end", "Scale", "a gate", "scale_param { axis: 0 }") + conv("b", "end"))
    assert fields["b"] == fields["end"] == WholeImage("gate")


def test_mistakes_are_named(tmp_path):
    text = data() + active("a", "data", "kernel_size: 3 pad: 1", "ACU")
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    layers = read(path)
    for wrong, words in (
        (text.replace('"a"', '"b"'), "no ACU layer 'a' in the network"),
        (text + active("b", "a", "kernel_size: 3", "ACU"), r"no positions for layer 'b' \(ACU\)"),
        (text.replace("kernel_size: 3", "kernel_size: 5"), "a kernel of 5x5, the positions are of 3x3"),
        (text.replace('bottom: "data"', 'bottom: "gone"'), r"'a' \(ACU\): no layer before it makes its bottom 'gone'"),
        (text + layer("p", "Pooling", "a"), r"'p' \(Pooling\): kernel_size must be at least 1"),
    ):
        path.write_text(wrong)
        with pytest.raises(UserError, match=words):
            receptive_fields(read_net(path), layers)
