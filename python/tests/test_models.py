"""The networks in models/: what the generators make, the paper's numbers, and that Caffe runs them."""

from pathlib import Path

import caffe
import numpy as np
import pytest

from caffe_acu.net_param import format_prototxt, read_prototxt
from caffe_acu.nets import zoo
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.plain import plain

MODELS = Path(__file__).resolve().parents[2] / "models"


def test_committed_files_are_what_the_generators_make():
    assert zoo.differing(MODELS) == []


def test_a_changed_file_is_noticed_and_mended(tmp_path):
    assert len(zoo.write_models(tmp_path)) == len(zoo.model_files())
    changed = tmp_path / "cvpr2017/plain/solver.prototxt"
    changed.write_text(changed.read_text().replace("0.1", "0.2"))
    assert zoo.differing(tmp_path) == [changed]
    assert zoo.write_models(tmp_path) == [changed]
    assert zoo.differing(tmp_path) == []


def load(tmp_path: Path, acu: Acu | None) -> caffe.Net:
    path = tmp_path / f"{bool(acu)}.prototxt"
    path.write_text(format_prototxt(plain(acu)))
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize(("acu", "expected"), [(None, 855_162), (Acu(), 855_258)])
def test_parameters_are_those_of_the_paper(tmp_path, acu, expected):
    # Learned scalars: weights, the score's bias, scale and shift of BatchNorm, and two coordinates of every
    # synapse but the fixed one. BatchNorm's statistics and the zero in an ACU's bias are not learned.
    count = 0
    for layer in load(tmp_path, acu).layers:
        blobs = [blob.count for blob in layer.blobs]
        if layer.type == "ACU":
            blobs = [blobs[0], blobs[2] - 1, blobs[3] - 1]
        elif layer.type == "BatchNorm":
            blobs = []
        count += sum(blobs)
    assert count == expected


def test_the_acu_network_starts_as_the_convolutional_one(tmp_path):
    base, acu = load(tmp_path, None), load(tmp_path, Acu())
    for name, blobs in base.params.items():
        for i, blob in enumerate(blobs):
            if name.startswith("bn_"):
                blob.data[...] = (0, 1, 1)[i]  # mean, variance, and the weight of both
            acu.params[name][i].data[...] = blob.data
    image = np.random.default_rng(0).normal(size=(1, 3, 32, 32))
    for net in (base, acu):
        net.blobs["data"].data[...] = image
    expected = base.forward()["prob"]
    assert np.abs(acu.forward()["prob"] - expected).max() < 1e-5
    assert expected.std() > 0


@pytest.mark.parametrize("name", ["plain", "plain_acu"])
def test_rates_of_the_paper(name):
    net = read_prototxt(MODELS / "cvpr2017" / name / "train_val.prototxt")
    layers = {layer.name: layer for layer in net.layer}
    acus = [layer for layer in net.layer if layer.type == "ACU"]
    assert len(acus) == (6 if name == "plain_acu" else 0)
    for layer in acus:
        assert [round(param.lr_mult, 6) for param in layer.param] == [1, 0, 0.01, 0.01]
        assert [param.decay_mult for param in layer.param] == [1, 0, 0, 0]
        assert layer.acu_param.warmup_iter == 10_000
        assert layer.acu_param.normalize_gradient
    assert [param.decay_mult for param in layers["scale_conv0"].param] == [0, 0]
    assert layers["score"].convolution_param.bias_term
    assert not layers["conv1_1"].convolution_param.bias_term
