"""The authors' networks in our form: the same outputs, synapses in raster order."""

import caffe
import numpy as np
import pytest
from google.protobuf import text_format

import authors_net
from caffe_acu.active_layer import read_active_layer, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.convert.ring_to_raster import ring_to_raster
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, format_prototxt, read_net, set_blob
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.plain import plain


def convert(source, target, *options: str) -> None:
    assert main(["convert", "ring-to-raster", str(source), str(target), *options]) == 0


def outputs(prototxt, caffemodel, images, blob) -> np.ndarray:
    net = caffe.Net(str(prototxt), str(caffemodel), caffe.TEST)
    net.blobs["data"].reshape(*images.shape)
    net.blobs["data"].data[...] = images
    net.forward(end=blob)
    return net.blobs[blob].data.copy()


def test_outputs_stay_and_synapses_are_in_raster_order(tmp_path):
    (tmp_path / "a.prototxt").write_text(authors_net.PROTOTXT)
    authors_net.write_caffemodel(tmp_path / "a.caffemodel")
    for suffix in ("prototxt", "caffemodel"):
        convert(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}")
    expected = authors_net.forward()
    actual = outputs(tmp_path / "b.prototxt", tmp_path / "b.caffemodel", authors_net.images(), "second/2")
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()

    layers = {layer.name: layer for layer in read_net(tmp_path / "b.caffemodel").layer}
    assert [layers[name].type for name, *_ in authors_net.LAYERS] == ["Convolution", "ACU", "ACU"]
    weight, x, y = authors_net.weights()[1]
    # By hand: the ring starts in the middle (raster 4), goes right (5), down right (8), and on around.
    raster_of_ring = [4, 5, 8, 7, 6, 3, 0, 1, 2]
    for i, values in ((0, weight), (2, x), (3, y)):
        stored = blob_array(layers["second/1"].blobs[i]).reshape(*values.shape)
        assert np.allclose(stored[..., raster_of_ring], values)
    assert layers["second/1"].acu_param.normalize_gradient


def aconv(text: str) -> "caffe_pb2.NetParameter":
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name="a", type="AConvFast")
    text_format.Merge(text, layer)
    return net


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("convolution_param { num_output: 4 kernel_size: 5 pad: 2 stride: 2 } aconv_param { pos_filler_std: -1 }", 11),
        ("convolution_param { num_output: 4 kernel_size: 3 } aconv_param { type: CIRCLE pad: 1 base_radius: 2.5 }", 9),
    ],
)
def test_shapes_without_a_lattice_are_listed(tmp_path, text, size):
    filler = "convolution_param { weight_filler { type: 'msra' } }"
    theirs = aconv(f"bottom: 'data' top: 'a' {text}")
    text_format.Merge(filler, theirs.layer[0])
    shape = f"shape {{ dim: 2 dim: 3 dim: {size} dim: 8 }}"
    data = f'layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}'
    (tmp_path / "a.prototxt").write_text(data + format_prototxt(theirs))
    net = caffe.Net(str(tmp_path / "a.prototxt"), caffe.TEST)
    net.save(str(tmp_path / "a.caffemodel"))
    for suffix in ("prototxt", "caffemodel"):
        convert(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}")
    images = np.random.default_rng(1).normal(size=(2, 3, size, 8))
    expected, actual = (outputs(tmp_path / f"{n}.prototxt", tmp_path / f"{n}.caffemodel", images, "a") for n in "ab")
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 1e-5 * np.abs(expected).max()


def starts(layer) -> tuple[list[float], list[float]]:
    active = read_active_layer(layer)
    return active.start_x.tolist(), active.start_y.tolist()


def test_a_ring_that_begins_elsewhere_is_brought_to_the_lattice():
    # From 45 degrees on: synapse 1 starts at (1, 1), which is raster 8, synapse 2 at (0, 1), raster 7.
    net = aconv(
        "convolution_param { num_output: 1 kernel_size: 3 pad: 1 } "
        "aconv_param { pos_filler_std: -1 base_angle: 0.7853982 }"
    )
    x, y = starts(net.layer[0])
    for values in (np.arange(9.0), [0.0], x, y):
        blob = net.layer[0].blobs.add()
        set_blob(blob, np.reshape(values, (1, 1, 3, 3) if len(values) == 9 else (1, 1, 1, 1)))
    ring_to_raster(net)
    (layer,) = net.layer
    assert blob_array(layer.blobs[0]).ravel().tolist() == [5, 6, 7, 4, 0, 8, 3, 2, 1]
    for i, expected in zip((2, 3), starts(layer), strict=True):
        assert blob_array(layer.blobs[i]).ravel().tolist() == expected


def test_a_wider_ring_keeps_its_start():
    net = aconv(
        "convolution_param { num_output: 1 kernel_size: 3 pad: 1 } aconv_param { pos_filler_std: -1 base_radius: 2 }"
    )
    before = starts(net.layer[0])
    ring_to_raster(net)
    assert net.layer[0].type == "ACU"
    assert starts(net.layer[0]) == before


def test_noise_on_the_start_stays():
    net = aconv("convolution_param { num_output: 1 kernel_size: 3 pad: 1 } aconv_param { pos_filler_std: 0.25 }")
    ring_to_raster(net)
    assert net.layer[0].acu_param.position_noise == 0.25
    assert not net.layer[0].acu_param.position


def test_one_synapse_keeps_its_padding():
    net = aconv("convolution_param { num_output: 1 kernel_size: 1 pad_h: 2 pad_w: 1 }")
    ring_to_raster(net)
    assert net.layer[0].type == "Convolution"
    assert read_spatial(net.layer[0]).pad == (2, 1)
    assert not net.layer[0].convolution_param.HasField("pad_h")  # Caffe refuses both spellings at once


def test_what_cannot_be_converted_is_refused(tmp_path, capsys):
    with pytest.raises(UserError, match="2 position sets"):
        ring_to_raster(aconv("convolution_param { num_output: 4 kernel_size: 3 } aconv_param { position_group: 2 }"))
    with pytest.raises(UserError, match="has no counterpart"):
        ring_to_raster(aconv("convolution_param { num_output: 4 kernel_size: 5 }"))
    (tmp_path / "ours.prototxt").write_text(format_prototxt(plain(Acu())))
    assert main(["convert", "ring-to-raster", str(tmp_path / "ours.prototxt"), str(tmp_path / "out")]) == 2
    assert "ours.prototxt: no layer of type AConvFast" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert main(["convert", "ring-to-raster", str(tmp_path / "none"), str(tmp_path / "out")]) == 2


def test_published_weights_in_our_plain_network(shared, tmp_path):
    golden = np.load(shared / "golden" / "golden_plain10000.npz")
    ours = tmp_path / "ours.caffemodel"
    convert(shared / "golden" / "plain_iter_10000.caffemodel", ours, "--names", "plain")
    (tmp_path / "plain_acu.prototxt").write_text(format_prototxt(plain(Acu())))
    scores = outputs(tmp_path / "plain_acu.prototxt", ours, golden["input"], "score").reshape(16, 10)
    assert np.abs(scores - golden["score64"]).max() < 1e-3 * np.abs(golden["score64"]).max()
    assert blob_array(read_net(ours).layer[5].blobs[0]).size > 0
