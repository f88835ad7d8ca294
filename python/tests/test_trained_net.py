"""caffe_acu.trained_net: a deploy prototxt and its caffemodel, read together; what is wrong gets one line."""

import caffe
import numpy as np
import pytest

from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, read_net, read_prototxt, set_blob
from caffe_acu.trained_net import caffe_net, read_deploy, read_trained, weights_message
from trained_nets import trained
from trained_text import input_text, trained_of

FOLDER = "grouped/resnet29_x2d_acu"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return trained(FOLDER, tmp_path_factory.mktemp("trained"))


def damaged(files, tmp_path, change):
    """The caffemodel after ``change`` of its first GroupedACU."""
    weights = read_net(files[1])
    change(next(layer for layer in weights.layer if layer.type == "GroupedACU"))
    path = tmp_path / "damaged.caffemodel"
    path.write_bytes(weights.SerializeToString())
    return path


def test_what_is_read_computes_what_caffe_computes(files, tmp_path):
    net = read_trained(*files)
    ours, theirs = caffe_net(net.net, net.blobs), caffe.Net(str(files[0]), str(files[1]), caffe.TEST)
    written = tmp_path / "written.caffemodel"
    written.write_bytes(weights_message(net.net, net.blobs).SerializeToString())
    again = caffe.Net(str(files[0]), str(written), caffe.TEST)
    images = np.random.default_rng(3).normal(size=theirs.blobs["data"].data.shape)
    for one in (ours, theirs, again):
        one.blobs["data"].data[...] = images
        one.forward()
    assert np.ptp(theirs.blobs["prob"].data) > 1e-3
    np.testing.assert_array_equal(ours.blobs["prob"].data, theirs.blobs["prob"].data)
    np.testing.assert_array_equal(again.blobs["prob"].data, theirs.blobs["prob"].data)


def test_the_old_spelling_of_inputs_becomes_a_layer(files, tmp_path):
    text = files[0].read_text()
    old = tmp_path / "old.prototxt"
    start = text.index("layer {")
    old.write_text('input: "data" input_dim: 2 input_dim: 3 input_dim: 32 input_dim: 32\n'
                   + text[text.index("layer {", start + 1):])  # fmt: skip
    assert read_trained(old, files[1]).net.layer[0].type == "Input"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('type: "GroupedACU"', 'type: "GroupedACV"', "this Caffe has no layer of that type"),
        ('type: "Input"', 'type: "Data"', "reads data"),
        ('bottom: "data"', 'bottom: "dada"', "'dada'"),
        ("num_output: 10", "num_output: 11", "are these the weights of this network?"),
    ],
)
def test_a_wrong_network_gets_one_line(files, tmp_path, old, new, expected):
    path = tmp_path / "wrong.prototxt"
    assert old in files[0].read_text()
    path.write_text(files[0].read_text().replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        read_trained(path, files[1])
    assert expected in str(caught.value) and "\n" not in str(caught.value)
    assert "wrong.prototxt: layer" in str(caught.value) or "net.caffemodel: " in str(caught.value)


SCALE = "layer { name: 's' type: 'Scale' bottom: 'data' top: '%s' }"
PYTHON = "layer { name: 'p' type: 'Python' bottom: 'data' top: 'p' python_param { module: '%s' layer: 'L' } }"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (2 * (SCALE % "t"), "layer 's' (Scale): its top 't' is made by layer 's' already"),
        (PYTHON % "not_there", "not_there.L cannot be imported (No module named 'not_there'); is its folder"),
        (PYTHON % "json", "layer 'p' (Python): json.L cannot be imported"),
        (
            PYTHON.replace("'L'", "'loads'") % "json" + SCALE.replace("data", "p") % "s",
            "first that of 'p'; give the network up to there, and the rest as another",
        ),
        ("layer { name: 'h' type: 'HDF5Output' bottom: 'data' }", "would write a file; leave it out"),
        ("layer { name: 'i' type: 'Input' top: 'i' }", "layer 'i' (Input): no shape; add input_param { shape"),
        (
            "input: 'a' input: 'b' input: 'c' input_shape { dim: 1 } input_shape { dim: 1 }",
            "3 input(s), but 2 shape(s)",
        ),
    ],
)
def test_what_caffe_would_end_the_process_for_or_do_unasked(tmp_path, text, expected):
    (tmp_path / "net.prototxt").write_text(input_text((1, 2, 5, 5)) + text)
    with pytest.raises(UserError) as caught:
        read_deploy(tmp_path / "net.prototxt")
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_layers_of_one_name(tmp_path):
    path = tmp_path / "net.prototxt"
    once = "layer { name: 's' type: '%s' bottom: 'data' top: '%s' }"
    path.write_text(input_text((1, 2, 5, 5)) + once % ("ReLU", "a") + once % ("Sigmoid", "b"))
    (tmp_path / "net.caffemodel").write_bytes(read_prototxt(path).SerializeToString())
    assert read_trained(path, tmp_path / "net.caffemodel").blobs == {}
    path.write_text(input_text((1, 2, 5, 5)) + once % ("ReLU", "a") + once % ("Scale", "b"))
    with pytest.raises(UserError, match=r"net\.prototxt: 2 layers are called 's'; weights are found by the names"):
        read_trained(path, tmp_path / "net.caffemodel")


def test_one_shape_serves_all_inputs(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text("input: 'a' input: 'b' input_shape { dim: 2 dim: 3 }" + SCALE.replace("data", "b") % "s")
    assert [list(layer.input_param.shape[0].dim) for layer in read_deploy(path).layer[:2]] == [[2, 3]] * 2


def set_value(blob: int, value: float):
    def change(layer):
        values = blob_array(layer.blobs[blob]).copy()
        values.flat[3] = value
        set_blob(layer.blobs[blob], values)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (set_value(0, np.nan), "not finite"),
        (set_value(2, np.nan), "synapse 3 of set 0 is at (nan"),
        (set_value(3, 1e9), "finite position"),
        (lambda layer: layer.blobs.pop(), "3 blobs there, 4 in the network"),
        (lambda layer: layer.blobs[2].data.pop(), "damaged"),
        (lambda layer: set_blob(layer.blobs[2], np.zeros((1, 1, 3, 3), np.float32)), "blob 2 of layer"),
    ],
)
def test_wrong_weights_get_one_line(files, tmp_path, change, expected):
    path = damaged(files, tmp_path, change)
    with pytest.raises(UserError) as caught:
        read_trained(files[0], path)
    assert expected in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_another_networks_weights_are_told(files, tmp_path):
    (tmp_path / "other").mkdir()
    _, weights = trained("cvpr2017/plain_acu", tmp_path / "other")
    with pytest.raises(UserError, match="has no weights for layer"):
        read_trained(files[0], weights)


def test_shared_parameters_are_those_of_the_last_in_the_file(tmp_path):
    """As in Caffe, also where a tool has changed one layer only."""
    conv = "layer {{ name: '{0}' type: 'Convolution' bottom: 'data' top: '{0}' param {{ name: 'w' }} {1} }}"
    text = input_text((1, 2, 5, 5)) + "".join(
        conv.format(name, "convolution_param { num_output: 3 kernel_size: 3 }") for name in "abc"
    )
    net, weights = tmp_path / "net.prototxt", tmp_path / "net.caffemodel"
    net.write_text(text)
    message = weights_message(read_prototxt(net), trained_of(text).blobs)
    message.layer.append(message.layer[1])  # a comes last
    del message.layer[1]
    weights.write_bytes(message.SerializeToString())
    theirs, ours = caffe.Net(str(net), str(weights), caffe.TEST), read_trained(net, weights).blobs
    for name in "abc":
        for blob, array in zip(theirs.params[name], ours[name], strict=True):
            np.testing.assert_array_equal(array, blob.data)
