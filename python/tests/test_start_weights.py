"""What trainings with frozen positions start from: `caffe-acu positions round`, and `apply` to random weights."""

import re
from pathlib import Path

import caffe
import numpy as np
import pytest

from active_pair import conv, data
from caffe_acu.cli.main import main
from caffe_acu.nets.zoo import all_models

NET = data(4) + conv("acu", "data", "num_output: 6 kernel_size: 3").replace("Convolution", "ACU")
NET += conv("grouped", "acu", "group: 2 num_output: 4 kernel_size: 3").replace("Convolution", "GroupedACU")


@pytest.fixture
def trained(tmp_path) -> Path:
    """A caffemodel whose positions are somewhere, and beside it the network."""
    (tmp_path / "net.prototxt").write_text(NET)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    random = np.random.default_rng(0)
    for blobs in net.params.values():
        for blob in blobs[2:]:
            blob.data[...] = random.uniform(-2, 2, blob.data.shape)
    net.params["acu"][2].data.flat[:3] = (-0.4, 1.6, -1.7)
    net.save(str(tmp_path / "trained.caffemodel"))
    return tmp_path / "trained.caffemodel"


def start_of(kind: str, trained: Path, *options: str, start: str = "start.caffemodel") -> caffe.Net:
    out = trained.with_name(start)
    assert main(["positions", kind, str(trained), "-o", str(out), *options]) == 0
    return caffe.Net(str(trained.with_name("net.prototxt")), str(out), caffe.TEST)


def test_positions_are_rounded_and_nothing_else(trained, capsys):
    before = caffe.Net(str(trained.with_name("net.prototxt")), str(trained), caffe.TEST)
    after = start_of("round", trained)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].endswith("start.caffemodel: 2 layer(s) rounded")
    for name, blobs in before.params.items():
        for i, blob in enumerate(blobs):
            made = after.params[name][i].data
            if i < 2:
                assert np.array_equal(made, blob.data)
            else:
                assert np.array_equal(made, made.astype(int)) and np.abs(made - blob.data).max() <= 0.5
        moved = np.hypot(*(after.params[name][i].data.astype(float) - blobs[i].data for i in (2, 3)))
        assert any(
            re.fullmatch(rf"{name} +moved {moved.mean():.3f} px on average, {moved.max():.3f} at most(; .*)?", line)
            for line in printed
        )
    first = after.params["acu"][2].data.flat[:3]
    assert first.tolist() == [0, 2, -2] and not np.signbit(first[0])


def test_positions_are_taken_and_weights_are_new(trained):
    before = caffe.Net(str(trained.with_name("net.prototxt")), str(trained), caffe.TEST)
    net = ["--net", str(trained.with_name("net.prototxt"))]
    made = [start_of("apply", trained, *net, *seed) for seed in ([], ["--seed", "1"], ["--seed", "2"])]
    caffe.set_random_seed(1)
    fresh = caffe.Net(str(trained.with_name("net.prototxt")), caffe.TEST)
    for name, blobs in before.params.items():
        assert all(np.array_equal(fresh.params[name][i].data, made[0].params[name][i].data) for i in (0, 1))
        for i in (2, 3):
            assert all(np.array_equal(start.params[name][i].data, blobs[i].data) for start in made)
        weights = [blobs[0].data, made[0].params[name][0].data, made[2].params[name][0].data]
        assert np.array_equal(weights[1], made[1].params[name][0].data)
        assert not any(np.isclose(a, b).any() for a, b in [weights[:2], weights[1:], weights[::2]])


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (
            NET.replace('"grouped"', '"other"'),
            "no positions for the network's layer 'other'; there are 'acu', 'grouped'",
        ),
        (
            NET.replace("group: 2", "group: 1"),
            "layer 'grouped' (GroupedACU): positions of 2 set(s) of 9 synapses; the network's are 1 of 9",
        ),
        (data(4) + conv("acu", "data"), "no layer of type ACU or GroupedACU or AConvFast"),
        ("layer { name: 'a' type: 'Data' top: 'a' }", "layer 'a' (Data) reads data, which are not needed here"),
    ],
)
def test_another_network_is_refused(trained, tmp_path, capsys, net, message):
    (tmp_path / "other.prototxt").write_text(net)
    start = tmp_path / "start.caffemodel"
    words = ["positions", "apply", str(trained), "--net", str(tmp_path / "other.prototxt"), "-o", str(start)]
    assert main(words) == 2
    assert message in capsys.readouterr().err
    assert not start.exists()


def test_a_prototxt_has_no_positions_to_round(trained, tmp_path, capsys):
    net = trained.with_name("net.prototxt")
    assert main(["positions", "round", str(net), "-o", str(tmp_path / "start.caffemodel")]) == 2
    assert capsys.readouterr().err.endswith(
        "layer 'acu' (ACU): no weights in it, as in every prototxt; give a caffemodel\n"
    )


@pytest.mark.parametrize("model", [model for model in all_models() if model.start], ids=lambda model: model.folder)
def test_the_commands_of_the_readmes_work(model, tmp_path, monkeypatch):
    """Those of the networks that start from another's training; an untrained one stands for that."""
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "models").symlink_to(root / "models")
    text = (root / "models" / model.folder / "readme.md").read_text()
    *words, start = re.search(r"^    caffe-acu (positions .*)$", text, re.MULTILINE)[1].split()
    deploy = Path(words[2]).with_name("deploy.prototxt")
    monkeypatch.chdir(tmp_path)
    caffe.Net(f"{deploy}", caffe.TEST).save("trained.caffemodel")
    assert f"--weights {start}\n" in text
    words[2] = "trained.caffemodel"
    assert main([*words, "start.caffemodel"]) == 0
    caffe.Net(f"models/{model.folder}/deploy.prototxt", "start.caffemodel", caffe.TEST)
