"""`caffe-acu convert acu`: a trained network's convolutions as ACUs, and back again."""

import re
from pathlib import Path

import caffe
import numpy as np
import pytest

from active_pair import conv, data, layer, layers_of, random_net, save_random_weights
from caffe_acu.active_layer import read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.convert import activate_trained as module
from caffe_acu.convert.options import Choice, PositionOptions
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, format_prototxt, set_blob
from caffe_acu.nets.zoo import all_models
from caffe_acu.trained_net import read_trained


def files(folder: Path, text: str) -> tuple[Path, Path]:
    net, weights = folder / "net.prototxt", folder / "net.caffemodel"
    net.write_text(text)
    save_random_weights(net, weights)
    return net, weights


def convert(kind: str, net: Path, weights: Path, out: Path, *options: object) -> int:
    return main(["convert", kind, str(net), str(weights), "-o", str(out), *map(str, options)])


def made(folder: Path) -> tuple[Path, Path]:
    return folder / "deploy.prototxt", folder / "weights.caffemodel"


def blobs(net: Path, weights: Path) -> dict[str, np.ndarray]:
    loaded = caffe.Net(str(net), str(weights), caffe.TEST)
    for name in loaded.inputs:
        loaded.blobs[name].data[...] = np.random.default_rng(5).normal(size=loaded.blobs[name].data.shape)
    loaded.forward()
    return {name: blob.data.copy() for name, blob in loaded.blobs.items()}


def assert_same(first: tuple[Path, Path], second: tuple[Path, Path], tolerance: float = 0) -> None:
    before, after = blobs(*first), blobs(*second)
    for name, values in before.items():
        assert np.isfinite(values).all() and values.any()
        assert np.abs(after[name] - values).max() <= tolerance * np.abs(values).max()


# This build's convolutions run on an ACU's kernels, so that not a bit differs; upstream's im2col shares nothing.
@pytest.mark.parametrize(("engine", "tolerance"), [("", 0), ("engine: CAFFE ", 1e-5)], ids=("ours", "upstream"))
@pytest.mark.parametrize("seed", range(3))
def test_outputs_stay_and_are_said_to(tmp_path, capsys, seed, engine, tolerance):
    original = files(tmp_path, random_net(seed, engine))
    assert convert("acu", *original, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    layers = layers_of(made(tmp_path / "out")[0])
    active = [name for name, made_of in layers.items() if "ACU" in made_of.type]
    assert len(active) >= 7
    assert_same(original, made(tmp_path / "out"), tolerance)
    told = dict(re.findall(r"^(?:output )?(\w+):? .*largest difference (\S+)$", printed, re.MULTILINE))
    assert set(told) >= set(active) and len(told) > len(active)
    if not engine:
        assert set(told.values()) == {"0"}
    else:
        assert max(map(float, told.values())) > 0
    assert f"{len(active)} convolution(s) active\n" in printed


def test_a_network_of_the_papers_becomes_its_active_one(tmp_path):
    (plain,) = (model for model in all_models() if model.folder == "grouped/resnet29_x1d")
    (active,) = (model for model in all_models() if model.folder == "grouped/resnet29_x1d_acu")
    original = files(tmp_path, format_prototxt(plain.deploy()))
    assert convert("acu", *original, tmp_path / "out", "--which", "depthwise") == 0
    assert_same(original, made(tmp_path / "out"))
    assert list(layers_of(made(tmp_path / "out")[0]).values()) == list(active.deploy().layer)
    head, *_ = (tmp_path / "out" / "deploy.prototxt").read_text().splitlines()
    assert head == "# Made by `caffe-acu convert acu net.prototxt net.caffemodel --which depthwise`."


CONVOLUTIONS = {
    "square": "kernel_size: 3 pad: 1",
    "without padding": "kernel_size: 5 stride: 2",
    "more padding": "kernel_size: 3 pad: 4 bias_term: false",
    "other axes": "kernel_h: 1 kernel_w: 5 pad_h: 2 pad_w: 0 stride_h: 1 stride_w: 2",
    "even": "kernel_size: 4 pad: 2",
    "even, without padding": "kernel_size: 2 stride: 3",
    "grouped": "kernel_size: 3 pad: 1 group: 2",
    "depthwise": "kernel_size: 3 pad: 1 group: 4 stride: 2",
    "dilated": "kernel_size: 3 pad: 2 dilation: 2",
    "dilated otherwise": "kernel_size: 3 pad: 4 pad: 1 dilation: 3 dilation: 1 group: 2",
}


@pytest.mark.parametrize("sets", [(), ("--position-sets", "4"), ("--position-sets", "1")], ids=("", "4 sets", "1 set"))
@pytest.mark.parametrize("text", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_there_and_back_the_kernels_are_the_same(tmp_path, text, sets):
    original = files(tmp_path, data(4, 11, 10) + conv("c", "data", f"num_output: 8 {text}"))
    assert convert("acu", *original, tmp_path / "active", *sets) == 0
    assert convert("conv", *made(tmp_path / "active"), tmp_path / "back") == 0
    (before,), (after,) = (
        [one for one in layers_of(path).values() if one.type == "Convolution"]
        for path in (original[1], made(tmp_path / "back")[1])
    )
    weight, dense = (blob_array(one.blobs[0]) for one in (before, after))
    dilation = read_spatial(before).dilation
    spread = np.zeros((*weight.shape[:2], *(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))))
    spread[..., :: dilation[0], :: dilation[1]] = weight
    assert np.array_equal(dense, spread)
    assert before.blobs[1:] == after.blobs[1:]
    assert_same(original, made(tmp_path / "back"), 1e-5)


def test_layers_that_share_weights(tmp_path, capsys):
    shared = "param { name: 'w' } param { name: 'b' }"
    text = data() + conv("a", "data", more=shared) + layer("r", "ReLU", "a") + conv("b", "r", more=shared)
    original = files(tmp_path, text + conv("last", "b", "num_output: 2 kernel_size: 3"))
    assert convert("acu", *original, tmp_path / "out") == 0
    assert "b     ACU 3x3, position sets: 1, positions shared with a; largest difference 0" in capsys.readouterr().out
    assert_same(original, made(tmp_path / "out"))
    assert convert("acu", *original, tmp_path / "one", "--except", "b", "last") == 0
    assert "weights shared with b, which stays a convolution" in capsys.readouterr().out
    assert_same(original, made(tmp_path / "one"))


def test_weights_of_everything_else_stay(tmp_path):
    text = data() + conv("a", "data") + layer("n", "BatchNorm", "a") + layer("s", "Scale", "n")
    original = files(tmp_path, text + layer("f", "InnerProduct", "s", "inner_product_param { num_output: 3 }"))
    assert convert("acu", *original, tmp_path / "out") == 0
    before, after = layers_of(original[1]), layers_of(made(tmp_path / "out")[1])
    for name, one in before.items():
        for old, new in zip(one.blobs, after[name].blobs, strict=name != "a"):
            assert np.array_equal(blob_array(old), blob_array(new)) and old.shape == new.shape
    assert [blob_array(blob).shape for blob in after["a"].blobs[2:]] == [(1, 1, 3, 3)] * 2


LINE = data().replace("dim: 9 dim: 8", "dim: 9")
RESHAPED = layer("flat", "Reshape", "data", "reshape_param { shape { dim: 0 dim: 0 dim: -1 } }")
K3 = "num_output: 4 kernel_size: 3"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (LINE + conv("c", "data", K3), [], "net.prototxt: nothing is chosen of 'c': not two spatial axes"),
        (
            data() + RESHAPED + conv("c", "flat", K3),
            [],
            "net.prototxt: layer 'c' (Convolution): a bottom of 3 axes, where",
        ),
        (data() + conv("c", "data", "num_output: 2 kernel_size: 1"), [], "nothing is chosen of 'c': kernel 1x1"),
        (data() + conv("c", "data"), ["--layers", "d"], "net.prototxt: no convolution is called 'd'; there are 'c'"),
        (data() + conv("c", "data"), ["--position-sets", "3"], "3 position sets do not divide 4 input channels"),
        (data() + conv("c", "data"), ["--position-sets", "0"], "--position-sets is 0: it takes 1 or more"),
    ],
)
def test_what_cannot_be_is_one_line(tmp_path, capsys, text, options, message):
    original = files(tmp_path, text)
    assert convert("acu", *original, tmp_path / "out", *options) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and not (tmp_path / "out").exists()


def test_one_dimensional_convolutions_are_left(tmp_path, capsys):
    """`caffe-acu new` made square ACUs of them, which Caffe refused."""
    image = data().replace('"data"', '"image"').removeprefix("force_backward: true ")
    net, _ = files(tmp_path, LINE + conv("line", "data", K3) + image + conv("square", "image", K3))
    assert main(["new", str(net), "-o", str(tmp_path / "out.prototxt")]) == 0
    assert "left, not two spatial axes: line\n" in capsys.readouterr().out
    caffe.Net(str(tmp_path / "out.prototxt"), caffe.TEST)


def test_damaged_and_foreign_files(tmp_path, capsys):
    net, weights = files(tmp_path, data() + conv("c", "data"))
    nan, other, garbage = (tmp_path / f"{name}.caffemodel" for name in ("nan", "other", "garbage"))
    message = caffe_pb2.NetParameter.FromString(weights.read_bytes())
    set_blob(message.layer[-1].blobs[0], np.full((4, 4, 3, 3), np.nan, np.float32))
    nan.write_bytes(message.SerializeToString())
    set_blob(message.layer[-1].blobs[0], np.zeros((4, 4, 5, 5), np.float32))
    other.write_bytes(message.SerializeToString())
    garbage.write_bytes(bytes(range(256)))
    training = tmp_path / "train.prototxt"
    training.write_text("layer { name: 'd' type: 'Data' top: 'd' }" + conv("c", "d"))
    (tmp_path / "file").write_text("")
    (tmp_path / "in").mkdir()
    for path in (net, weights):
        (tmp_path / "in" / {"t": "deploy.prototxt", "l": "weights.caffemodel"}[path.name[-1]]).write_bytes(
            path.read_bytes()
        )
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.*")}
    for words, said in (
        ((net, nan, tmp_path / "out"), "nan.caffemodel: layer 'c' (Convolution): weights that are not finite"),
        ((net, other, tmp_path / "out"), "other.caffemodel: blob 0 of layer 'c' has shape (4, 4, 5, 5) there"),
        ((net, garbage, tmp_path / "out"), "garbage.caffemodel: "),
        ((training, weights, tmp_path / "out"), "train.prototxt: layer 'd' (Data) reads data"),
        ((net, weights, tmp_path / "file" / "out"), "file: a file; -o takes a folder"),
        ((*made(tmp_path / "in"), tmp_path / "in"), "in/deploy.prototxt: is read and would be written over"),
    ):
        assert convert("acu", *words) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1, error
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.*")} == before and not (tmp_path / "out").exists()


def test_another_function_is_refused(tmp_path, monkeypatch):
    """What would be a mistake of this program: a synapse that is a thousandth of a pixel off its place."""
    trained = read_trained(*files(tmp_path, data() + conv("c", "data") + layer("r", "ReLU", "c")))
    honest = module.activate_weights

    def mistaken(weights, net, names):
        honest(weights, net, names)
        x = blob_array(weights.layer[1].blobs[2])
        x[0, 0, 2, 1] += 1e-3
        set_blob(weights.layer[1].blobs[2], x)

    monkeypatch.setattr(module, "activate_weights", mistaken)
    with pytest.raises(UserError, match=r"net\.prototxt: layer 'c' .*: this is a mistake of the conversion"):
        module.activate_trained(trained, Choice(), PositionOptions())
