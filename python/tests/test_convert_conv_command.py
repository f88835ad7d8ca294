"""``caffe-acu convert conv``: files, what is printed, and bad input, which leaves nothing behind."""

import hashlib
import json
import re
from pathlib import Path

import caffe
import numpy as np
import pytest

import trained_nets
from caffe_acu.cli.main import main
from caffe_acu.counts.network import count_file
from caffe_acu.net_param import blob_array, read_net, read_prototxt, set_blob
from trained_text import input_text

HERE = Path(__file__).parents[2]


@pytest.fixture
def plain(tmp_path, monkeypatch) -> tuple[Path, Path]:
    """The plain network, trained, in the current folder."""
    monkeypatch.chdir(tmp_path)
    trained_nets.trained("cvpr2017/plain_acu", tmp_path)
    return Path("deploy.prototxt"), Path("net.caffemodel")


def convert(*words: object) -> int:
    return main(["convert", "conv", *map(str, words)])


def refused(capsys, *words: object) -> str:
    """The one line of a run that writes nothing."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert convert(*words) == 2
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    printed = capsys.readouterr()
    assert not printed.out
    (line,) = printed.err.splitlines()
    return line


def change(weights: Path, layer: str, blob: int, place: tuple[int, ...] | None, value: float) -> None:
    net = read_net(weights)
    (found,) = (one for one in net.layer if one.name == layer)
    array = blob_array(found.blobs[blob]).copy()
    array[... if place is None else place] = value
    set_blob(found.blobs[blob], array)
    weights.write_bytes(net.SerializeToString())


def scores(prototxt: Path, caffemodel: Path) -> np.ndarray:
    net = caffe.Net(str(prototxt), str(caffemodel), caffe.TEST)
    net.blobs["data"].data[...] = np.random.default_rng(3).normal(size=net.blobs["data"].data.shape)
    return net.forward()["prob"].copy()


@pytest.mark.parametrize("fold", [False, True])
def test_files_report_and_print(plain, fold, capsys):
    assert convert(*plain, "-o", "out", *["--fold"] * fold) == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "deploy.prototxt",
        "report.json",
        "weights.caffemodel",
    ]
    prototxt, caffemodel = Path("out/deploy.prototxt"), Path("out/weights.caffemodel")
    np.testing.assert_allclose(scores(prototxt, caffemodel), scores(*plain), atol=1e-6)
    command = "caffe-acu convert conv deploy.prototxt net.caffemodel" + " --fold" * fold
    assert prototxt.read_text().startswith(f"# Made by `{command}`.\n# Layers and fields of BVLC Caffe only.\n")

    report = json.loads(Path("out/report.json").read_text())
    assert report["command"] == command
    assert report["inputs"] == [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in plain
    ]
    before, after = count_file(plain[0]), count_file(prototxt)
    zeros = sum(
        np.count_nonzero(blob_array(layer.blobs[0]) == 0) for layer in read_net(caffemodel).layer if len(layer.blobs)
    )
    assert report["parameters"] == {"before": before.parameters, "after": after.parameters, "zeros": zeros}
    assert report["multiply_adds"]["after"] == after.multiply_adds
    assert min(report["milliseconds"][when] for when in ("before", "after")) > 0
    by_name = {layer["name"]: layer for layer in report["layers"]}
    assert len(by_name) == (8 if fold else 6)
    for layer in read_prototxt(prototxt).layer:
        if layer.name in by_name and "convolutions" in by_name[layer.name]:
            (convolution,) = by_name[layer.name]["convolutions"]
            param = layer.convolution_param
            size = [*param.kernel_size] * 2 if param.kernel_size else [param.kernel_h, param.kernel_w]
            assert convolution["size"] == size
    assert by_name["conv1_1"]["folded_in"] == (["bn_conv1_1", "scale_conv1_1"] if fold else [])

    printed = capsys.readouterr().out
    assert f"parameters: {before.parameters:,} -> {after.parameters:,}, {zeros:,} of them 0" in printed
    assert f"multiply-adds for one image: {before.multiply_adds:,} -> {after.multiply_adds:,}" in printed
    assert re.search(r"\nforward pass of 2x3x32x32: [\d.]+ ms -> [\d.]+ ms \(this Caffe on \d+ CPU cores", printed)
    for name, layer in by_name.items():
        (line,) = (line for line in printed.splitlines() if line.startswith(f"{name} "))
        assert f"{layer['difference']['largest']:.1e}" in line
    assert ("BatchNorm, Scale" in printed) == fold


def test_wide_layers(plain, capsys):
    change(plain[1], "conv1_1", 2, (0, 0, 2, 2), 25.25)
    change(plain[1], "conv1_1", 3, (0, 0, 2, 2), -3)
    change(plain[1], "conv1_1", 0, (slice(None), slice(None), 2, 2), 1e-3)
    line = refused(capsys, *plain, "-o", "out")
    assert line.startswith("caffe-acu convert: net.caffemodel: layer 'conv1_1' (ACU): as a convolution its kernel is ")
    assert "x53, more than --max-kernel 31: " in line
    assert "farthest out is synapse 8 of set 0 at (25.25, -3), with weights of at most 0." in line
    for option in ("--max-kernel", "--prune T", "--wide dilated", "--wide keep"):
        assert option in line
    assert "without the taps below --prune" in refused(capsys, *plain, "-o", "out", "--prune", "0.0001")

    expected = scores(*plain)
    for options in (["--wide", "keep"], ["--wide", "dilated"], ["--max-kernel", "53"]):
        assert convert(*plain, "-o", "out", *options) == 0
        printed = capsys.readouterr().out
        np.testing.assert_allclose(scores("out/deploy.prototxt", "out/weights.caffemodel"), expected, atol=1e-6)
        kept = options[1] == "keep"
        assert ("STILL ACTIVE, so the files are for this Caffe only: conv1_1" in printed) == kept
        assert ("acu_param" in Path("out/deploy.prototxt").read_text()) == kept
        assert json.loads(Path("out/report.json").read_text())["kept_active"] == ["conv1_1"] * kept
        assert (" dilated, " in printed) == (options[1] == "dilated")

    assert convert(*plain, "-o", "out", "--prune", "0.01") == 0
    printed = capsys.readouterr().out
    assert "without the dropped taps" in printed
    assert "rounding explains" not in printed.rpartition("largest difference of the network")[2]
    layers = {layer["name"]: layer for layer in json.loads(Path("out/report.json").read_text())["layers"]}
    assert max(layers["conv1_1"]["convolutions"][0]["size"]) < 15
    assert layers["conv1_1"]["pruned"]["taps"] > 16 * 48
    assert 0 < np.abs(scores("out/deploy.prototxt", "out/weights.caffemodel") - expected).max() < 0.01


def test_several_wide_layers_are_told_at_once(plain, capsys):
    for layer in ("conv1_1", "conv3_2"):
        change(plain[1], layer, 3, (0, 0, 0, 0), -60)
    line = refused(capsys, *plain, "-o", "out")
    assert "layer 'conv1_1' (ACU)" in line
    assert line.endswith("; so with conv3_2")


@pytest.mark.parametrize("options", [[], ["--wide", "dilated"], ["--prune", "0.1"], ["--max-kernel", "3000000"]])
def test_a_synapse_a_million_pixels_away(plain, options, capsys):
    """A kernel of terabytes, which must not be tried."""
    change(plain[1], "conv2_2", 2, (0, 0, 0, 0), 1e6)
    line = refused(capsys, *plain, "-o", "out", *options)
    assert "synapse 0 of set 0 at (1e+06, " in line or "--max-kernel is 3000000" in line
    assert convert(*plain, "-o", "out", "--wide", "keep") == 0


def test_dilated_convolutions_that_do_not_help(plain, capsys):
    random = np.random.default_rng(0)
    for blob in (2, 3):
        for k in range(9):
            change(plain[1], "conv1_1", blob, (0, 0, k // 3, k % 3), random.uniform(-50, 50))
    line = refused(capsys, *plain, "-o", "out", "--wide", "dilated", "--max-kernel", "5")
    assert re.search(r"its taps lie so that \d+ dilated convolution\(s\) would still have [\d,]+ of them", line)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda net, weights: change(weights, "conv1_1", 2, (0, 0, 0, 0), np.nan), "net.caffemodel: .*'conv1_1'.*nan"),
        (lambda net, weights: change(weights, "conv0", 0, None, np.inf), "net.caffemodel: .*'conv0'.* not finite"),
        (lambda net, weights: weights.write_bytes(b"\x00\x01"), "net.caffemodel: "),
        (lambda net, weights: net.unlink(), "deploy.prototxt: cannot be read: No such file"),
        (lambda net, weights: net.write_text(net.read_text().replace('"ACU"', '"AUC"', 1)), "'conv1_1' .AUC.: .*type"),
        (lambda net, weights: net.write_text(net.read_text().replace("output: 48", "output: 47", 1)), "this network"),
        (
            lambda net, weights: net.write_text((HERE / "models/cvpr2017/plain_acu/train_val.prototxt").read_text()),
            "deploy.prototxt: .*reads data",
        ),
    ],
)  # fmt: skip
def test_bad_input(plain, damage, message, capsys):
    damage(*plain)
    assert re.search(message, refused(capsys, *plain, "-o", "out"))


def test_folders_that_will_not_do(plain, capsys):
    Path("file").write_text("mine")
    assert "file: a file; -o takes a folder" in refused(capsys, *plain, "-o", "file")
    assert "file: a file; -o takes a folder" in refused(capsys, *plain, "-o", "file/inside/of/it")
    assert "deploy.prototxt: is read and would be written over" in refused(capsys, *plain, "-o", ".")
    Path("out/report.json").mkdir(parents=True)
    assert "report.json: cannot be written: Is a directory" in refused(capsys, *plain, "-o", "out")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--prune", "1"], "--prune is 1"),
        (["--prune", "nan"], "--prune is nan"),
        (["--max-kernel", "0"], "kernel is 0"),
    ],
)
def test_options_that_make_no_sense(plain, options, message, capsys):
    assert message in refused(capsys, *plain, "-o", "out", *options)


def test_nothing_to_convert(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text = input_text((1, 3, 8, 8)) + "layer { name: 'c' type: 'Convolution' bottom: 'data' top: 'prob' "
    text += "convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: 'msra' } } }"
    net, weights = Path("net.prototxt"), Path("net.caffemodel")

    def train() -> None:
        net.write_text(text)
        caffe.Net(str(net), caffe.TEST).save(str(weights))

    train()
    assert "net.prototxt: no active layer in it: nothing to convert; --fold" in refused(
        capsys, net, weights, "-o", "out"
    )
    assert "no batch normalisation that follows" in refused(capsys, net, weights, "-o", "out", "--fold")
    text += "layer { name: 'scale' type: 'Scale' bottom: 'prob' top: 'prob' scale_param { filler { value: 2 } } }"
    train()
    assert convert(net, weights, "-o", "out", "--fold") == 0
    printed = capsys.readouterr().out
    assert printed.splitlines()[0].split() == ["layer", "type", "difference", "of", "limit", "folded", "in"]
    assert [layer.name for layer in read_prototxt("out/deploy.prototxt").layer] == ["data", "c"]
    text = text.replace("'Convolution'", "'ACU'")
    train()
    assert "stay active" in refused(capsys, net, weights, "-o", "o", "--wide", "keep", "--max-kernel", "1")


def test_networks_without_inputs_or_outputs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    net, weights = Path("net.prototxt"), Path("net.caffemodel")
    made = input_text((1, 3, 8, 8)).replace("Input", "DummyData").replace("input_param", "dummy_data_param")
    acu = "layer { name: 'a' type: 'ACU' bottom: 'data' top: 'a' convolution_param { num_output: 2 kernel_size: 3 } }"
    net.write_text(f"{made} {acu} layer {{ name: 's' type: 'Silence' bottom: 'a' }}")
    caffe.Net(str(net), caffe.TEST).save(str(weights))
    assert convert(net, weights, "-o", "out") == 0
    printed = capsys.readouterr().out
    assert "largest difference of the network's output: none\n" in printed
    assert re.search(r"\nforward pass: [\d.]+ ms -> ", printed)


def test_kernels_that_are_many_rather_than_wide(plain, monkeypatch, capsys):
    """The message says that --wide keep helps."""
    monkeypatch.setattr("caffe_acu.convert.layer_convolutions._LARGEST", 2**18)
    assert "give --wide keep, without --prune" in refused(capsys, *plain, "-o", "out")
    assert convert(*plain, "-o", "out", "--wide", "keep") == 0
    assert "STILL ACTIVE, so the files are for this Caffe only: conv2_1, conv2_2, conv3_1" in capsys.readouterr().out


def test_a_conversion_that_is_wrong_writes_nothing(plain, monkeypatch, capsys):
    from caffe_acu import kernels

    rule = kernels._symmetric
    monkeypatch.setattr(kernels, "_symmetric", lambda *axis: (rule(*axis)[0], rule(*axis)[1] + 2, rule(*axis)[2] + 1))
    assert "this is a mistake of the conversion, and nothing is written" in refused(capsys, *plain, "-o", "out")
