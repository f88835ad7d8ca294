"""Files and mistakes of `caffe-acu new`: one clear line, and nothing written."""

import os
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

from active_pair import conv, data, layer, layers_of, save_random_weights
from caffe_acu.cli.main import main
from caffe_acu.convert.options import Choice
from caffe_acu.errors import UserError
from caffe_acu.net_param import read_net, read_prototxt, set_blob

NET = data(4) + conv("one", "data", "num_output: 6 kernel_size: 3") + conv("two", "one", "num_output: 2 kernel_size: 1")


@pytest.fixture
def net(tmp_path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path / "net.prototxt"


@pytest.fixture
def weights(net) -> Path:
    save_random_weights(net, net.with_suffix(".caffemodel"))
    return net.with_suffix(".caffemodel")


def new(folder: Path, *words: str) -> int:
    """Runs the command with its outputs in the subfolder ``out``."""
    out = [str(folder / "out" / "active.prototxt")]
    if "--weights" in words:
        out += ["--out-weights", str(folder / "out" / "active.caffemodel")]
    return main(["new", words[0], "-o", *out, *words[1:]])


def refused(folder: Path, capsys, *words: str) -> str:
    assert new(folder, *words) == 2
    assert not (folder / "out").exists() or not list((folder / "out").iterdir())
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("caffe-acu new: ").removesuffix("\n")


def test_the_head_says_how_it_was_made(net, tmp_path):
    net.write_text("# a comment\n" + NET)
    assert new(tmp_path, str(net), "--layers", "on*", "--warmup", "9", "--position-sets", "2") == 0
    text = (tmp_path / "out" / "active.prototxt").read_text()
    made = "# Made by `caffe-acu new net.prototxt --which all --layers 'on*' --position-sets 2 --warmup 9`.\n"
    assert text.startswith(made)
    assert "a comment" not in text


def test_the_rest_of_the_network_stays(net, tmp_path):
    train = 'layer { name: "data" type: "Data" top: "data" include { phase: TRAIN stage: "x" } }\n'
    net.write_text('name: "n" state { level: 2 } debug_info: true\n' + train + NET + layer("p", "Pooling", "two"))
    assert new(tmp_path, str(net)) == 0
    before, after = read_prototxt(net), read_prototxt(tmp_path / "out" / "active.prototxt")
    for message in (before, after):
        (changed,) = (description for description in message.layer if description.name == "one")
        for field in ("type", "param", "acu_param"):
            changed.ClearField(field)
    assert text_format.MessageToString(after) == text_format.MessageToString(before)


def test_an_active_network_can_be_made_more_active(net, tmp_path):
    net.write_text(data(4) + conv("one", "data") + conv("two", "one"))
    assert new(tmp_path, str(net), "--layers", "two") == 0
    second = tmp_path / "second.prototxt"
    os.replace(tmp_path / "out" / "active.prototxt", second)
    assert new(tmp_path, str(second)) == 0
    once, twice = layers_of(second), layers_of(tmp_path / "out" / "active.prototxt")
    assert twice["two"] == once["two"]
    assert twice["one"].param == once["two"].param


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (NET, ["--layers", "three"], "no convolution is called 'three'; there are 'one', 'two'"),
        (NET, ["--which", "depthwise"], "nothing is chosen of 'one', 'two': not depthwise; kernel 1x1"),
        (NET, ["--position-sets", "3"], "layer 'one' (GroupedACU): 3 position sets do not divide 4 input channels"),
        (
            data(4) + conv("c", "data", "num_output: 6 kernel_size: 3 group: 4"),
            [],
            "layer 'c' (GroupedACU): 4 groups do not divide both 4 channels and 6 outputs",
        ),
        (
            data() + conv("c", "data", "num_output: 6 kernel_size: 3 bias_term: false", "param {} param {}"),
            [],
            "layer 'c' (Convolution): 2 param blocks, but 1 blob(s); Caffe refuses it, too",
        ),
        (
            data() + conv("c", "data", "num_output: 6 pad: 1"),
            [],
            "layer 'c' (ACU): neither kernel_size nor acu_param.position is given",
        ),
        ("name: 'empty'", [], "no layers in it; a network's prototxt or caffemodel was expected"),
        (
            "layers { name: 'old' }",
            [],
            "layers in the format of before 2014; first run build/bin/upgrade_net_proto_text OLD NEW",
        ),
    ],
)
def test_mistakes_in_a_network(net, tmp_path, capsys, text, options, message):
    net.write_text(text)
    assert refused(tmp_path, capsys, str(net), *options) == f"{net}: {message}"


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--warmup=-1", "--warmup is -1: it takes 0 or more iterations"),
        ("--position-lr-mult=-0.5", "--position-lr-mult is -0.5: it takes 0 or more"),
        ("--position-lr-mult=nan", "--position-lr-mult is nan: it takes 0 or more"),
        ("--position-sets=0", "--position-sets is 0: it takes 1 or more"),
        ("--weights=w", "--weights and --out-weights belong together; one is missing"),
        ("--out-weights=w", "--weights and --out-weights belong together; one is missing"),
    ],
)
def test_mistakes_in_options(net, tmp_path, capsys, option, message):
    assert refused(tmp_path, capsys, str(net), option) == message


def test_an_unknown_kind_of_choice():
    with pytest.raises(UserError, match="--which is 'some': it takes one of all, depthwise, last-of-block"):
        Choice("some")


def test_a_caffemodel_is_no_network(tmp_path, weights, capsys):
    assert refused(tmp_path, capsys, str(weights)) == f"{weights}: a binary file; a network's prototxt was expected"
    missing = tmp_path / "none"
    assert refused(tmp_path, capsys, str(missing)) == f"{missing}: cannot be read: No such file or directory"


def test_no_file_is_written_over_another(tmp_path, net, weights, capsys):
    written, out = weights.read_bytes(), tmp_path / "out"
    for words, message in (
        (["-o", net], f"{net}: is read and would be written over; give the output another name"),
        (["-o", out, "--weights", weights, "--out-weights", weights], f"{weights}: is read and would be written over"),
        (["-o", out, "--weights", weights, "--out-weights", out], f"{out}: two outputs would be one file"),
    ):
        assert main(["new", *map(str, (net, *words))]) == 2
        assert capsys.readouterr().err.startswith(f"caffe-acu new: {message}")
    assert (net.read_text(), weights.read_bytes(), out.exists()) == (NET, written, False)


def blobs(*shapes: tuple[int, ...]):
    """A change of a layer: these blobs instead of its own."""

    def change(description) -> None:
        del description.blobs[:]
        for shape in shapes:
            set_blob(description.blobs.add(), np.zeros(shape, np.float32))

    return change


def renamed(description) -> None:
    description.name = "three"


def activated(description) -> None:
    description.type = "ACU"


def damaged(description) -> None:
    del description.blobs[0].data[3:]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (renamed, "no layer is called 'one'; take weights of this network, or leave it out with --except"),
        (
            blobs((6, 4, 3, 3)),
            "layer 'one' (Convolution): 1 blob(s); the network has a Convolution with 2 there",
        ),
        (
            activated,
            "layer 'one' (ACU): 2 blob(s); the network has a Convolution with 2 there",
        ),
        (
            blobs((6, 4, 5, 5), (6,)),
            "layer 'one' (Convolution): weights of shape (6, 4, 5, 5); the network's are (6, 4, 3, 3)",
        ),
        (
            blobs((6, 2, 3, 3), (6,)),
            "layer 'one' (Convolution): weights of shape (6, 2, 3, 3); the network's are (6, 4, 3, 3)",
        ),
        (
            blobs((6, 4, 3, 3, 3), (6,)),
            "layer 'one' (Convolution): weights of shape (6, 4, 3, 3, 3); the network's are (6, 4, 3, 3)",
        ),
        (blobs((6, 4, 3, 3), (5,)), "layer 'one' (Convolution): bias of shape (5,); the network's is (6,)"),
        (damaged, "a blob of shape (6, 4, 3, 3) holds 3 values; the file is damaged"),
    ],
)
def test_weights_of_another_network(tmp_path, net, weights, capsys, change, message):
    message_of_file = read_net(weights)
    change(next(description for description in message_of_file.layer if description.name == "one"))
    weights.write_bytes(message_of_file.SerializeToString())
    assert refused(tmp_path, capsys, str(net), "--weights", str(weights)) == f"{weights}: {message}"


def test_weights_whose_channels_the_network_does_not_tell(tmp_path, net, weights, capsys):
    net.write_text(NET.replace("Input", "Data"))
    assert new(tmp_path, str(net), "--weights", str(weights)) == 0
    for path in (tmp_path / "out").iterdir():
        path.unlink()
    capsys.readouterr()
    words = [str(net), "--weights", str(weights)]
    sets = "layer 'one' (GroupedACU): 3 position sets do not divide 4 input channels"
    assert refused(tmp_path, capsys, *words, "--position-sets", "3") == f"{weights}: {sets}"
    net.write_text(NET.replace("Input", "Data").replace("num_output: 6", "num_output: 7"))
    shapes = "layer 'one' (Convolution): weights of shape (6, 4, 3, 3); the network's are (7, any, 3, 3)"
    assert refused(tmp_path, capsys, *words) == f"{weights}: {shapes}"


def test_old_weights_are_refused(tmp_path, net, weights, capsys):
    message = type(read_net(weights))()
    message.layers.add(name="one")
    message.layers[0].blobs.add(num=1, data=[0.5])
    weights.write_bytes(message.SerializeToString())
    assert "layers in the format of before 2014" in refused(tmp_path, capsys, str(net), "--weights", str(weights))


@pytest.mark.parametrize("in_the_way", ["active.caffemodel", "active.prototxt"])
def test_both_files_or_none(tmp_path, net, weights, capsys, in_the_way):
    (tmp_path / "out" / in_the_way).mkdir(parents=True)
    assert new(tmp_path, str(net), "--weights", str(weights)) == 2
    assert f"{in_the_way}: cannot be written: Is a directory" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [in_the_way]


def test_a_full_disk_leaves_what_was_there(tmp_path, net, weights, capsys, monkeypatch):
    assert new(tmp_path, str(net), "--weights", str(weights)) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    write_bytes = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if "caffemodel" in path.name:
            write_bytes(path, content[:100])
            raise OSError(28, "No space left on device")
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert new(tmp_path, str(net), "--warmup", "3", "--weights", str(weights)) == 2
    assert "active.caffemodel: cannot be written: No space left on device" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before
