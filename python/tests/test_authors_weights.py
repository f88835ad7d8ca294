"""The authors' weights load unchanged and give the scores that an independent float64 implementation gives."""

import caffe
import numpy as np
import pytest

import authors_net
from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.cli.main import main
from caffe_acu.net_param import format_prototxt, read_prototxt
from caffe_acu.nets.plain_authors import plain_authors


def test_small_network_in_the_authors_form(tmp_path):
    prototxt, caffemodel = tmp_path / "small.prototxt", tmp_path / "small.caffemodel"
    prototxt.write_text(authors_net.PROTOTXT)
    authors_net.write_caffemodel(caffemodel)
    net = caffe.Net(str(prototxt), str(caffemodel), caffe.TEST)
    net.blobs["data"].data[...] = authors_net.images()
    scores = net.forward()[authors_net.LAYERS[-1][0]]
    expected = authors_net.forward()
    assert scores.shape == expected.shape
    assert np.abs(scores - expected).max() < 1e-5 * np.abs(expected).max()


def test_published_weights(shared, tmp_path):
    golden = np.load(shared / "golden" / "golden_plain10000.npz")
    prototxt = tmp_path / "authors.prototxt"
    prototxt.write_text(format_prototxt(plain_authors()))
    net = caffe.Net(str(prototxt), str(shared / "golden" / "plain_iter_10000.caffemodel"), caffe.TEST)
    net.blobs["data"].reshape(*golden["input"].shape)
    net.blobs["data"].data[...] = golden["input"]
    net.forward()
    scores = net.blobs["score"].data.reshape(golden["score64"].shape)
    assert np.abs(scores - golden["score64"]).max() < 1e-3 * np.abs(golden["score64"]).max()


def test_published_weights_run_backward(shared, tmp_path):
    prototxt = tmp_path / "authors.prototxt"
    prototxt.write_text("force_backward: true\n" + format_prototxt(plain_authors()))
    net = caffe.Net(str(prototxt), str(shared / "golden" / "plain_iter_10000.caffemodel"), caffe.TEST)
    net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=(1, 3, 32, 32))
    net.forward()
    net.blobs["score"].diff[...] = 1
    net.backward(start="score")
    for layer in ("conv1_1/1", "conv3_1/2"):
        for blob in (0, 2, 3):
            assert np.abs(net.params[layer][blob].diff).max() > 0


@pytest.mark.parametrize("fold", [False, True])
def test_published_weights_as_plain_convolutions(shared, tmp_path, fold):
    """`caffe-acu convert conv` against the scores in float64."""
    golden = np.load(shared / "golden" / "golden_plain10000.npz")
    prototxt, out = tmp_path / "authors.prototxt", tmp_path / "out"
    prototxt.write_text(format_prototxt(plain_authors()))
    weights = shared / "golden" / "plain_iter_10000.caffemodel"
    assert main(["convert", "conv", str(prototxt), str(weights), "-o", str(out), *["--fold"] * fold]) == 0
    assert {layer.type for layer in read_prototxt(out / "deploy.prototxt").layer}.isdisjoint(ACTIVE_TYPES)
    net = caffe.Net(str(out / "deploy.prototxt"), str(out / "weights.caffemodel"), caffe.TEST)
    net.blobs["data"].reshape(*golden["input"].shape)
    net.blobs["data"].data[...] = golden["input"]
    net.forward()
    scores = net.blobs["score"].data.reshape(golden["score64"].shape)
    assert np.abs(scores - golden["score64"]).max() < 1e-5 * np.abs(golden["score64"]).max()
