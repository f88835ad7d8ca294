"""Every handler against Caffe itself: shapes of tops, sizes of blobs, and products, for random settings."""

import math
import random

import caffe
import numpy as np
import pytest
from google.protobuf import text_format

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import CONVENTIONS
from caffe_acu.counts.handlers import FREE, HANDLERS, INPUTS
from caffe_acu.errors import UserError
from layer_settings import SETTINGS, Setting, dims

SETTINGS_OF_A_TYPE = 60
NOT_COUNTED = {"Python"}  # the prototxt does not say what such a layer does
NEED_FILES = {"Data", "HDF5Data", "HDF5Output", "ImageData", "WindowData"}  # tested in test_counts_inputs.py


def test_every_type_of_this_caffe_is_counted_or_known_not_to_be():
    assert HANDLERS.keys() | INPUTS.keys() == set(caffe.layer_type_list()) - NOT_COUNTED
    assert not HANDLERS.keys() & INPUTS.keys()


def test_every_type_is_tested():
    assert SETTINGS.keys() == (HANDLERS.keys() | INPUTS.keys()) - NEED_FILES


def parse(type_: str, setting: Setting) -> "caffe_pb2.LayerParameter":
    layer = text_format.Parse(setting.text, caffe_pb2.LayerParameter(name="layer", type=type_))
    layer.bottom.extend(f"in{i}" for i in range(len(setting.bottoms)))
    layer.top.extend(f"out{i}" for i in range(setting.tops))
    return layer


def in_caffe(path, setting: Setting, layer: "caffe_pb2.LayerParameter") -> caffe.Net:
    net = caffe_pb2.NetParameter()
    for i, bottom in enumerate(setting.bottoms):
        text = f"name: 'in{i}' type: 'Input' top: 'in{i}' input_param {{ {dims(bottom)} }}"
        net.layer.append(text_format.Parse(text, caffe_pb2.LayerParameter()))
    net.layer.append(layer)
    path.write_text(text_format.MessageToString(net))
    return caffe.Net(str(path), caffe.TEST)


def learned_sizes(net: caffe.Net, layer: "caffe_pb2.LayerParameter") -> list[int]:
    """Sizes of the blobs, but those in which nothing is learned count 0."""
    sizes = [blob.data.size for blob in net.params["layer"]] if "layer" in net.params else []
    if layer.type == "BatchNorm":
        return [0, 0, 0]
    if layer.type in ACTIVE_TYPES and not layer.convolution_param.bias_term:
        sizes[1] = 0
    return sizes


@pytest.mark.parametrize("type_", sorted(SETTINGS))
def test_shapes_and_parameters_are_those_of_caffe(type_, tmp_path):
    for seed in range(SETTINGS_OF_A_TYPE):
        setting = SETTINGS[type_](random.Random(f"{type_} {seed}"))
        layer = parse(type_, setting)
        net = in_caffe(tmp_path / "net.prototxt", setting, layer)
        if type_ in INPUTS:
            tops, learned = INPUTS[type_](layer, None), []
        else:
            count = HANDLERS[type_](layer, setting.bottoms)
            tops, learned = count.tops, list(count.learned)
            if count.synapses:
                learned += [CONVENTIONS["table9"].coordinate_count(count.synapses)] * 2
        assert tops[: setting.tops] == [net.blobs[top].data.shape for top in layer.top], layer
        assert learned == learned_sizes(net, layer), layer


@pytest.mark.parametrize("type_", sorted(SETTINGS.keys() & HANDLERS.keys()))
def test_free_types_cost_nothing_and_others_something(type_):
    settings = [SETTINGS[type_](random.Random(seed)) for seed in range(SETTINGS_OF_A_TYPE)]
    counts = [HANDLERS[type_](parse(type_, setting), setting.bottoms) for setting in settings]
    costs = [sum(count.learned) + count.products + count.interpolated for count in counts]
    assert any(costs) == (type_ not in FREE)


@pytest.mark.parametrize("type_", ["Convolution", "Deconvolution", "InnerProduct", "ACU", "GroupedACU", "AConvFast"])
def test_products_are_what_ones_add_up_to(type_, tmp_path):
    """With ones everywhere and no padding, every product adds one to the sum of the tops."""
    tested = 0
    for seed in range(200):
        setting = SETTINGS[type_](random.Random(f"ones {type_} {seed}"))
        layer = parse(type_, setting)
        layer.convolution_param.ClearField("pad")
        layer.convolution_param.ClearField("pad_h")
        layer.convolution_param.ClearField("pad_w")
        layer.aconv_param.type = caffe_pb2.AConvParameter.SQUARE
        layer.acu_param.ClearField("dilation")
        if layer.acu_param.position or tested == SETTINGS_OF_A_TYPE:
            continue  # listed positions look outside the image
        net = in_caffe(tmp_path / "net.prototxt", setting, layer)
        for name in layer.bottom:
            net.blobs[name].data[...] = 1
        blobs = net.params["layer"]
        blobs[0].data[...] = 1
        for blob in blobs[2:]:  # the noise and ring of AConvFast: to where no sample leaves the image
            if type_ == "AConvFast":
                blob.data[...] = 0
        net.forward()
        added_up = sum(net.blobs[top].data.astype(np.float64).sum() for top in layer.top)
        assert HANDLERS[type_](layer, setting.bottoms).products == added_up, layer
        tested += 1
    assert tested == SETTINGS_OF_A_TYPE


def test_products_with_padding_are_counted_too():
    layer = text_format.Parse(
        "type: 'Convolution' convolution_param { num_output: 4 group: 2 kernel_size: 3 pad: 2 stride: 2 dilation: 2 }",
        caffe_pb2.LayerParameter(),
    )
    products = 0
    for _image in range(3):
        for _output in range(4):
            for _row in range(0, 11 + 4 - 4, 2):
                for _column in range(0, 9 + 4 - 4, 2):
                    products += (6 // 2) * 3 * 3
    assert HANDLERS["Convolution"](layer, [(3, 6, 11, 9)]).products == products


@pytest.mark.parametrize(("type_", "gates"), [("RNN", 1), ("LSTM", 4)])
@pytest.mark.parametrize("static", [[], [(5, 7)]])
def test_recurrent_products_step_by_step(type_, gates, static):
    layer = text_format.Parse(f"type: '{type_}' recurrent_param {{ num_output: 3 }}", caffe_pb2.LayerParameter())
    steps, streams, features, hidden = 4, 5, 2 * 6, 3
    products = 0
    for _stream in range(streams):
        products += gates * hidden * sum(7 for _ in static)
        for _step in range(steps):
            products += gates * hidden * features  # what comes in
            products += gates * hidden * hidden  # what was there
            products += hidden * hidden if type_ == "RNN" else 0  # what goes out
    assert HANDLERS[type_](layer, [(steps, streams, 2, 6), (steps, streams), *static]).products == products


@pytest.mark.parametrize(
    ("type_", "text", "synapses", "samples"),
    [
        # 6 channels, 7 x 5 outputs. A set's synapse at (0, 0) neither moves nor interpolates.
        ("ACU", "kernel_size: 3 pad: 1", (1, 9, 8), 8),
        ("ACU", "kernel_size: 2", (1, 4, 3), 3),
        ("ACU", "kernel_size: 1", (1, 1, 0), 0),
        ("ACU", "} acu_param { position { x: 1 } position { y: 2 }", (1, 2, 2), 2),
        # Two at (0, 0): the first is fixed. Half a pixel off, the fixed one interpolates too.
        ("ACU", "} acu_param { position {} position {} position { y: 2 }", (1, 3, 2), 2),
        ("ACU", "} acu_param { position { x: 0.5 } position { y: 2 } fixed_synapse: 0", (1, 2, 1), 2),
        ("ACU", "} acu_param { position { x: 1 } position { y: 2 } fixed_synapse: 0", (1, 2, 1), 1),
        ("ACU", "kernel_size: 3 pad: 1 } acu_param { fixed_synapse: -1", (1, 9, 9), 9),
        ("ACU", "kernel_size: 3 pad: 1 } acu_param { learn_positions: false", (1, 9, 8), 8),
        ("GroupedACU", "kernel_size: 3 pad: 1 group: 6", (6, 9, 8), 8),
        ("GroupedACU", "kernel_size: 3 pad: 1 group: 2 } acu_param { position_group: 3", (3, 9, 8), 8),
        ("AConvFast", "kernel_size: 3 pad: 1", (1, 9, 8), 8),
        # The authors' sets serve slices of the outputs, and each samples all inputs.
        ("AConvFast", "kernel_size: 3 pad: 1 } aconv_param { position_group: 3", (3, 9, 8), 3 * 8),
    ],
)
def test_interpolated_values_of_active_convolutions(type_, text, synapses, samples):
    layer = text_format.Parse(
        f"type: '{type_}' convolution_param {{ num_output: 6 {text} }}", caffe_pb2.LayerParameter()
    )
    count = HANDLERS[type_](layer, [(2, 6, 7, 5)])
    assert (count.synapses.sets, count.synapses.each, count.synapses.free) == synapses
    assert count.interpolated == 2 * 6 * samples * math.prod(count.tops[0][2:])


def test_a_bottom_without_the_axis_is_not_joined():
    layer = caffe_pb2.LayerParameter(name="layer", type="Concat", top=["joined"])
    with pytest.raises(UserError, match="differ in more than axis 1"):
        HANDLERS["Concat"](layer, [(2, 5), (2,)])


@pytest.mark.parametrize("type_", sorted(HANDLERS))
def test_nonsense_ends_in_one_line(type_):
    """Whatever the bottoms and settings, a handler counts or says in one line what is wrong."""
    messages = 0
    for seed in range(300):
        r = random.Random(f"nonsense {type_} {seed}")
        text = SETTINGS[r.choice(sorted(SETTINGS)) if r.random() < 0.2 or type_ not in SETTINGS else type_](r).text
        layer = text_format.Parse(text, caffe_pb2.LayerParameter(name="layer", type=type_))
        layer.top.extend("ab"[: r.randint(0, 2)])
        shapes = [tuple(r.randint(1, 7) for _ in range(r.randint(0, 5))) for _ in range(r.randint(0, 3))]
        for field in ("num_output", "group"):  # halfway between sense and nonsense
            if r.random() < 0.2:
                setattr(layer.convolution_param, field, r.randint(0, 2))
        try:
            count = HANDLERS[type_](layer, shapes)
        except UserError as error:
            messages += 1
            assert "\n" not in str(error)
            assert str(error).startswith(f"layer 'layer' ({type_}): ")
        else:
            assert all(n > 0 for top in count.tops for n in top)
            assert min(count.learned, default=0) >= 0
            assert len(count.tops) >= len(layer.top)
    assert messages
