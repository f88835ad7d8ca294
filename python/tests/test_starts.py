"""What ACU-Round and ACU-Fixed start from."""

import caffe
import numpy as np
import pytest

from caffe_acu.cli.main import main
from caffe_acu.net_param import blob_array, format_prototxt, read_net
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.plain import plain
from caffe_acu.nets.resnet29 import Middle, resnet29
from caffe_acu.positions import read_positions

ROUND, FRESH = ["convert", "round-positions"], ["convert", "fresh-weights"]
NET = Middle("x1d", acu=Acu(learn=False))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A prototxt, and a caffemodel whose synapses have left the lattice."""
    folder = tmp_path_factory.mktemp("trained")
    prototxt, caffemodel = folder / "net.prototxt", folder / "trained.caffemodel"
    prototxt.write_text(format_prototxt(resnet29(NET)))
    caffe.set_random_seed(7)
    net = caffe.Net(str(prototxt), caffe.TEST)
    random = np.random.default_rng(0)
    for name, layer in zip(net._layer_names, net.layers, strict=True):
        if layer.type == "GroupedACU":
            for blob in net.params[name][2:]:
                blob.data[...] += random.uniform(-0.9, 0.9, blob.data.shape)
    net.save(str(caffemodel))
    return prototxt, caffemodel


def blobs(path) -> dict[tuple[str, int], np.ndarray]:
    return {(layer.name, i): blob_array(blob) for layer in read_net(path).layer for i, blob in enumerate(layer.blobs)}


def is_position(net, name: str, i: int) -> bool:
    return i >= 2 and any(layer.name == name and layer.type == "GroupedACU" for layer in net.layer)


def test_rounding_changes_positions_and_nothing_else(trained, tmp_path, capsys):
    out = tmp_path / "round.caffemodel"
    assert main([*ROUND, str(trained[1]), str(out)]) == 0
    assert "rounded the positions of 9 layers" in capsys.readouterr().out
    before, after = blobs(trained[1]), blobs(out)
    net = read_net(out)
    moved = 0
    for (name, i), values in after.items():
        if is_position(net, name, i):
            assert np.array_equal(values, np.floor(before[name, i] + 0.5))
            assert not np.signbit(values[values == 0]).any()
            moved += (values != before[name, i]).sum()
        else:
            assert np.array_equal(values, before[name, i])
    assert moved > 1000


def test_fresh_weights_have_learned_positions(trained, tmp_path):
    files = []
    for seed in (1, 1, 2):
        files.append(tmp_path / f"{len(files)}.caffemodel")
        assert main([*FRESH, *map(str, trained), str(files[-1]), "--seed", str(seed)]) == 0
    first, same, other = map(blobs, files)
    learned = blobs(trained[1])
    net = read_net(files[0])
    for (name, i), values in first.items():
        assert np.array_equal(values, same[name, i])
        if is_position(net, name, i):
            assert np.array_equal(values, learned[name, i]) and np.array_equal(values, other[name, i])
        elif values.std() > 0:  # drawn at random
            assert not np.array_equal(values, learned[name, i])
            assert not np.array_equal(values, other[name, i])
    # He et al.: 2 / (1 x 3 x 3) for a depthwise convolution of 256 channels.
    assert first["stage3_block3_conv2", 0].std() == pytest.approx(np.sqrt(2 / 9), rel=0.1)
    # Caffe takes them, and positions that do not learn stay.
    loaded = caffe.Net(str(trained[0]), str(files[0]), caffe.TEST)
    assert np.array_equal(loaded.params["stage1_block1_conv2"][2].data, learned["stage1_block1_conv2", 2])
    assert len(read_positions(files[0])) == 9


def test_mistakes_are_named(trained, tmp_path, capsys):
    out = tmp_path / "out.caffemodel"

    def error(*arguments) -> str:
        assert main([str(argument) for argument in (*arguments, out)]) == 2
        assert not out.exists()
        return capsys.readouterr().err

    base = tmp_path / "base.prototxt"
    base.write_text(format_prototxt(resnet29()))
    assert "base.prototxt: no ACU layer in it" in error(*FRESH, base, trained[1])
    other = tmp_path / "other.prototxt"
    other.write_text(format_prototxt(plain(Acu())))
    assert "no ACU layer 'conv1_1', which" in error(*FRESH, other, trained[1])
    shared = tmp_path / "shared.prototxt"
    shared.write_text(format_prototxt(resnet29(Middle("x1d", acu=Acu(position_group=1)))))
    assert "64 position sets of 9 synapses; the network has 1 of 9" in error(*FRESH, shared, trained[1])
    data = tmp_path / "data.prototxt"
    data.write_text("layer { name: 'data' type: 'Data' top: 'data' }")
    assert "layer 'data' (Data) reads data, which are not needed here" in error(*FRESH, data, trained[1])
    empty = tmp_path / "empty.caffemodel"
    empty.write_bytes(plain().SerializeToString())
    assert "empty.caffemodel: no ACU layer with positions in it" in error(*ROUND, empty)
