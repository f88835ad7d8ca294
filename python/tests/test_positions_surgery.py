"""`caffe-acu positions export`, `apply`, `round` and `freeze`, against raw blobs and against Caffe."""

import os
import re
from itertools import combinations
from pathlib import Path

import caffe
import numpy as np
import pytest

import authors_net
from active_pair import conv, data, layer
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.net_param import blob_array, read_net, read_prototxt, set_blob
from caffe_acu.positions import read
from position_sources import LAYERS, PROTOTXT, moved, write_npz, write_run, write_snapshot

MODELS = Path(__file__).resolve().parents[2] / "models"


def positions(*words: object) -> int:
    return main(["positions", *map(str, words)])


def network(path: Path) -> "caffe_pb2.NetParameter":
    return caffe_pb2.NetParameter.FromString(path.read_bytes())


def without_positions(path: Path) -> "caffe_pb2.NetParameter":
    """All that is in a caffemodel but the positions."""
    net = network(path)
    for active in net.layer:
        for blob in active.blobs[2:]:
            blob.ClearField("data")
    return net


def snapshot(folder: Path, name: str, kind: str, sets: int, synapses: int = 4, seed: int = 0) -> Path:
    """A caffemodel of one layer of 1 x K, with random numbers everywhere."""
    net, random = caffe_pb2.NetParameter(), np.random.default_rng(seed)
    active = net.layer.add(name=name, type=kind)
    active.convolution_param.num_output = 4
    active.convolution_param.kernel_h, active.convolution_param.kernel_w = 1, synapses
    if kind == "GroupedACU":
        active.acu_param.position_group = sets
    for shape in ((4, 4, 1, synapses), (4,), (sets, 1, 1, synapses), (sets, 1, 1, synapses)):
        set_blob(active.blobs.add(), random.normal(size=shape).astype(np.float32))
    path = folder / f"{name}_{sets}.caffemodel"
    path.write_bytes(net.SerializeToString())
    return path


@pytest.mark.parametrize("form", [".txt", ".csv", ".json", ".npz"])
def test_positions_come_back_to_the_bit_through_every_form(tmp_path, form):
    trained, other = write_snapshot(tmp_path / "a.caffemodel", 300), write_snapshot(tmp_path / "b.caffemodel", 0)
    assert positions("export", trained, "-o", tmp_path / f"shapes{form}") == 0
    assert positions("apply", tmp_path / f"shapes{form}", other, "-o", tmp_path / "c.caffemodel") == 0
    assert network(tmp_path / "c.caffemodel") == network(trained) != network(other)


def test_shapes_of_all_sources(tmp_path, capsys):
    run, npz = write_run(tmp_path / "run"), write_npz(tmp_path / "run.npz")
    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    again = tmp_path / "again.csv"
    for source, options, iteration, said in (
        (run, [], 200, "iteration 200"),
        (run, ["--iteration", 100], 100, "iteration 100"),
        (npz, [], 200, "iteration 200"),
        (npz, ["--iteration", 0], 0, "iteration 0"),
        (run / "snapshots" / "run_iter_100.caffemodel", [], 100, "iteration 100"),
        (tmp_path / "net.prototxt", [], 0, "net.prototxt, made"),
    ):
        out = tmp_path / "shapes.txt"
        assert positions("export", source, "-o", out, *options) == 0
        assert capsys.readouterr().out == f"{out}: the shapes of 2 layer(s): stem, deep\n"
        text = out.read_text()
        assert said in text.splitlines()[1]
        rows = [line.split() for line in text.splitlines() if not line.startswith("#")]
        expected = [
            (name, kind, s, k, x[s, k], y[s, k])
            for (name, kind, *_), (x, y) in zip(LAYERS, moved(iteration), strict=True)
            for s, k in np.ndindex(x.shape)
        ]
        found = [(n, t, int(s), int(k), np.float32(x), np.float32(y)) for n, t, s, k, x, y in rows]
        assert found == expected
        assert positions("export", out, "-o", again) == 0  # from one form to another
        assert len(again.read_text().splitlines()) == 1 + len(expected)
        capsys.readouterr()


def test_an_npz_is_what_all_other_commands_read(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    assert positions("export", run, "-o", tmp_path / "shapes.npz", "--iteration", 100, "--layers", "d*") == 0
    (deep,) = read(tmp_path / "shapes.npz")
    assert np.array_equal(deep.x, moved(100)[1][0]) and deep.kernel_size == (1, 5)
    assert positions("diff", tmp_path / "shapes.npz", tmp_path / "shapes.npz") == 0


def test_weights_are_untouched_and_positions_are_those_of_the_file(tmp_path, capsys):
    trained, other = write_snapshot(tmp_path / "a.caffemodel", 300), write_snapshot(tmp_path / "b.caffemodel", 0)
    out = tmp_path / "c.caffemodel"
    assert positions("apply", trained, other, "-o", out, "--layers", "deep") == 0
    assert capsys.readouterr().out == f"{out}: the positions of 1 layer(s): deep\n"
    assert without_positions(out) == without_positions(other)
    layers = {one.layer: one for one in read(out)}
    for (name, *_), iteration in zip(LAYERS, (0, 300), strict=True):
        place = [name for name, *_ in LAYERS].index(name)
        assert np.array_equal(layers[name].x, moved(iteration)[place][0])
        assert np.array_equal(layers[name].y, moved(iteration)[place][1])


def test_doubles_stay_doubles(tmp_path):
    trained, other = snapshot(tmp_path, "one", "ACU", 1), snapshot(tmp_path, "two", "ACU", 1, seed=1)
    for path in (trained, other):
        net = network(path)
        for blob in net.layer[0].blobs:
            set_blob(blob, np.random.default_rng(2).normal(size=tuple(blob.shape.dim)) * (path == trained))
        path.write_bytes(net.SerializeToString())
    shapes, out = tmp_path / "a.txt", tmp_path / "out.caffemodel"
    assert positions("export", trained, "-o", shapes) == 0
    assert positions("apply", shapes, other, "-o", out, "--map", "one=two") == 0
    for i in (2, 3):
        made, expected = (blob_array(network(path).layer[0].blobs[i]) for path in (out, trained))
        assert made.dtype == np.float64 and np.array_equal(made, expected) and expected.any()


def test_one_set_serves_all_and_several_do_not_serve_one(tmp_path, capsys):
    one, four = snapshot(tmp_path, "conv", "ACU", 1), snapshot(tmp_path, "conv", "GroupedACU", 4, seed=1)
    out = tmp_path / "out.caffemodel"
    assert positions("apply", one, four, "-o", out) == 0
    for i in (2, 3):
        spread, single = (blob_array(network(path).layer[0].blobs[i]) for path in (out, one))
        assert spread.shape == (4, 1, 1, 4) and all(np.array_equal(row, single[0]) for row in spread)
    assert positions("apply", four, one, "-o", tmp_path / "none.caffemodel") == 2
    assert "positions of 4 set(s) of 4 synapses; the network's are 1 of 4" in capsys.readouterr().err
    for sets, synapses in ((2, 4), (4, 5), (1, 5)):
        other = snapshot(tmp_path, "other", "GroupedACU", sets, synapses)
        words = ("apply", other, four, "-o", tmp_path / "none.caffemodel", "--map", "other=conv")
        assert positions(*words) == 2
        message = f"positions of {sets} set(s) of {synapses} synapses; the network's are 4 of 4"
        assert message in capsys.readouterr().err
    assert not (tmp_path / "none.caffemodel").exists()


def test_layers_that_only_one_has(tmp_path, capsys):
    both, deep = write_snapshot(tmp_path / "a.caffemodel", 300), tmp_path / "deep.txt"
    other, out = write_snapshot(tmp_path / "b.caffemodel", 0), tmp_path / "out.caffemodel"
    alone = tmp_path / "alone.caffemodel"
    net = network(other)
    del net.layer[1]
    alone.write_bytes(net.SerializeToString())
    assert positions("export", both, "-o", deep, "--layers", "deep") == 0
    capsys.readouterr()
    for words, message in (
        ((deep, other), f"{deep}, {other}: no positions for the network's layer 'stem'; there are 'deep'"),
        ((both, alone), f"{both}, {alone}: the network has no ACU layer 'stem'; there are 'deep'"),
        ((both, other, "--layers", "dep"), "no ACU layer is called 'dep'; did you mean 'deep'?"),
        ((both, other, "--map", "stm=x"), f"{both}: no positions for the network's layer 'stm'; did you mean 'stem'?"),
        ((both, other, "--map", "stem=deep"), f"{both}: layers 'stem' and 'deep' would both be called 'deep'"),
        ((deep, other, "--partial", "--layers", "stem"), "no positions for any layer of the network; there are 'deep'"),
    ):
        assert positions("apply", *words, "-o", out) == 2
        assert message in capsys.readouterr().err and not out.exists()
    for words, layers in (
        ((deep, other, "--partial"), ["deep"]),
        ((both, alone, "--partial"), ["deep"]),
        ((deep, other, "--layers", "deep"), ["deep"]),
        ((both, other), ["stem", "deep"]),
    ):
        assert positions("apply", *words, "-o", out) == 0
        assert capsys.readouterr().out == f"{out}: the positions of {len(layers)} layer(s): {', '.join(layers)}\n"


def test_layers_of_other_names(tmp_path):
    first, second = snapshot(tmp_path, "one", "ACU", 1), snapshot(tmp_path, "two", "ACU", 1, seed=1)
    assert positions("apply", first, second, "-o", tmp_path / "out.caffemodel", "--map", "one=two") == 0
    made, expected = (network(path).layer[0] for path in (tmp_path / "out.caffemodel", first))
    assert made.name == "two" and made.blobs[2] == expected.blobs[2] and made.blobs[0] != expected.blobs[0]


def test_the_authors_order_is_not_ours(tmp_path, capsys):
    authors_net.write_caffemodel(tmp_path / "authors.caffemodel")
    (name, *_), *_ = (one for one in authors_net.LAYERS if one[1] > 1)
    ours = snapshot(tmp_path, name, "ACU", 1, synapses=9)
    for words in ((tmp_path / "authors.caffemodel", ours), (ours, tmp_path / "authors.caffemodel")):
        assert positions("apply", *words, "--layers", name, "-o", tmp_path / "out.caffemodel") == 2
        assert "stand in another order" in capsys.readouterr().err
    # Among themselves they fit.
    assert positions("apply", *[tmp_path / "authors.caffemodel"] * 2, "-o", tmp_path / "out.caffemodel") == 0
    assert network(tmp_path / "out.caffemodel") == network(tmp_path / "authors.caffemodel")


@pytest.mark.parametrize("step", [1, 0.5, 0.3])
def test_rounding_tells_how_far_and_which_synapses_meet(tmp_path, capsys, step):
    path, out = snapshot(tmp_path, "conv", "GroupedACU", 4, synapses=9), tmp_path / "out.caffemodel"
    assert positions("round", path, "-o", out, "--step", step) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert without_positions(out) == without_positions(path)
    before, after = (
        [blob_array(network(one).layer[0].blobs[i]).astype(np.float64).reshape(4, 9) for i in (2, 3)]
        for one in (path, out)
    )
    for old, new in zip(before, after, strict=True):
        assert np.allclose(new / step, np.round(new / step), atol=1e-6)
        assert np.abs(new - old).max() <= step / 2 + 1e-6
    far = np.sqrt((after[0] - before[0]) ** 2 + (after[1] - before[1]) ** 2)
    moved_by = [float(number) for number in re.findall(r"\d\.\d{3}", line)]
    assert np.allclose(moved_by, [far.mean(), far.max()], atol=6e-4)
    meet = {
        (s, j)
        for s in range(4)
        for i, j in combinations(range(9), 2)
        if abs(after[0][s, i] - after[0][s, j]) + abs(after[1][s, i] - after[1][s, j]) < step / 2
    }
    listed = re.findall(r"(\d) and (\d) of set (\d)", line)
    more = re.search(r" and (\d+) more$", line)
    assert len(listed) + (int(more[1]) if more else 0) == len(meet) > 0
    for i, j, s in (map(int, found) for found in listed):
        assert (s, j) in meet
        assert all(abs(axis[s, i] - axis[s, j]) < step / 2 for axis in after)


FROZEN = [("cvpr2017/plain_acu", "cvpr2017/plain_acu_round"), ("grouped/resnet29_acu", "grouped/resnet29_acu_fixed"),
          ("grouped/resnet29_x1d_acu", "grouped/resnet29_x1d_acu_fixed")]  # fmt: skip


@pytest.mark.parametrize(("learning", "frozen"), FROZEN)
@pytest.mark.parametrize("file", ["train_val.prototxt", "deploy.prototxt"])
def test_frozen_networks_are_those_of_the_papers(tmp_path, learning, frozen, file):
    assert positions("freeze", MODELS / learning / file, "-o", tmp_path / "net.prototxt") == 0
    assert list(read_net(tmp_path / "net.prototxt").layer) == list(read_net(MODELS / frozen / file).layer)
    assert (tmp_path / "net.prototxt").read_text().startswith(f"# Made by `caffe-acu positions freeze {file}`.\n")


FILLERS = "weight_filler { type: 'xavier' } bias_filler { type: 'constant' }"
AUTHORS = layer(
    "third",
    "AConvFast",
    "second",
    f"convolution_param {{ num_output: 4 kernel_size: 3 pad: 1 {FILLERS} }} aconv_param {{ pos_filler_std: -1 }}",
)


@pytest.mark.parametrize("rates", ["", "param { lr_mult: 1 } param { lr_mult: 2 } param { } param { decay_mult: 3 }"])
def test_frozen_positions_stay_in_a_training_and_all_else_learns(tmp_path, rates):
    no_bias = "num_output: 4 kernel_size: 3 pad: 1 bias_term: false"
    text = data() + conv("first", "data", more=rates).replace("Convolution", "ACU", 1)
    text += conv("second", "first", no_bias, rates).replace("Convolution", "ACU", 1) + AUTHORS
    text += layer("zero", "Power", "third", "power_param { scale: 0 }") + layer("loss", "EuclideanLoss", "third zero")
    (tmp_path / "net.prototxt").write_text(text.replace("force_backward: true", ""))
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/frozen.prototxt" base_lr: 0.01 momentum: 0.9 weight_decay: 0.1 lr_policy: "fixed" '
        "solver_mode: CPU random_seed: 1 snapshot_after_train: false"
    )
    for options, learns in (
        ([], ()),
        (["--layers", "second", "third"], ("first",)),
        (["--layers", "f*"], ("second", "third")),
    ):
        assert positions("freeze", tmp_path / "net.prototxt", "-o", tmp_path / "frozen.prototxt", *options) == 0
        for one in read_prototxt(tmp_path / "frozen.prototxt").layer:
            for param in one.param[2:]:
                assert one.name in learns or (param.lr_mult, param.decay_mult) == (0, 0)
        solver = caffe.SGDSolver(str(tmp_path / "solver.prototxt"))
        solver.net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=solver.net.blobs["data"].data.shape)
        before = {name: [blob.data.copy() for blob in blobs] for name, blobs in solver.net.params.items()}
        solver.step(3)
        for name, blobs in solver.net.params.items():
            changed = [not np.array_equal(blob.data, old) for blob, old in zip(blobs, before[name], strict=True)]
            assert changed == [True, name != "second", name in learns, name in learns]


def test_layers_that_share_positions_are_frozen_together(tmp_path, capsys):
    shared = "".join(f"param {{ name: '{name}' }}" for name in "wbxy")
    text = data() + conv("a", "data", more=shared) + conv("b", "a", more=shared)
    (tmp_path / "net.prototxt").write_text(text.replace("Convolution", "ACU"))
    out = tmp_path / "out.prototxt"
    assert positions("freeze", tmp_path / "net.prototxt", "-o", out, "--layers", "a") == 2
    assert "layer 'b' shares the positions of a frozen one" in capsys.readouterr().err and not out.exists()
    assert positions("freeze", tmp_path / "net.prototxt", "-o", out) == 0
    caffe.Net(str(out), caffe.TRAIN)


def test_layers_that_share_positions_get_the_same(tmp_path, capsys):
    """Of two that differ Caffe would take the last."""
    shared = "".join(f"param {{ name: '{name}' }}" for name in "wbxy")
    text = (data() + conv("a", "data", more=shared) + conv("b", "a", more=shared)).replace("Convolution", "ACU")
    (tmp_path / "net.prototxt").write_text(text)
    net, weights, out = (
        caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST),
        tmp_path / "net.caffemodel",
        tmp_path / "out",
    )
    net.params["a"][2].data[...] = 0.3
    net.save(str(weights))
    (tmp_path / "a.txt").write_text("\n".join(f"a ACU 0 {k} 5 {k}" for k in range(9)))
    for words in (("round", weights, "--layers", "a"), ("apply", tmp_path / "a.txt", weights, "--partial")):
        assert positions(*words, "-o", out) == 2
        assert "layers 'a' and 'b' share positions, and would get different ones" in capsys.readouterr().err
        assert not out.exists()
    assert positions("round", weights, "-o", out) == 0


def damaged(path: Path, value: float) -> Path:
    return write_snapshot(path, 100, poison=value)


def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, capsys):
    good = write_snapshot(tmp_path / "good.caffemodel", 100)
    plain, garbage, empty = (tmp_path / name for name in ("plain.prototxt", "garbage.caffemodel", "empty.caffemodel"))
    plain.write_text(data() + conv("c", "data"))
    garbage.write_bytes(bytes(range(256)) * 9)
    empty.write_bytes(b"")
    nowhere, far = damaged(tmp_path / "nan.caffemodel", np.nan), damaged(tmp_path / "far.caffemodel", 1e6)
    (tmp_path / "net.prototxt").write_text(PROTOTXT)
    out, text, net = tmp_path / "out.caffemodel", tmp_path / "out.txt", tmp_path / "net.prototxt"
    before = set(tmp_path.iterdir())
    for words, message in (
        (("apply", nowhere, good, "-o", out), "nan.caffemodel: layer 'deep': synapse 3 of set 1 is nowhere"),
        (("apply", far, good, "-o", out), "far.caffemodel: layer 'deep': synapse 3 of set 1 is at (1e+06"),
        (("apply", good, far, "-o", out), "synapse 3 of set 1 is at (1e+06"),
        (("apply", good, plain, "-o", out), "no layer of type ACU"),
        (("apply", good, net, "-o", out), "layer 'stem' (ACU): no weights in it, as in every prototxt; give"),
        (("apply", good, text, "-o", out), "out.txt: a file of shapes, in the place of the network; it comes first"),
        (("apply", good, "--net", net, "--seed", -3, "-o", out), "--seed is -3: it takes 0 to 4294967295"),
        (("apply", good, "--net", net, "--seed", 2**32, "-o", out), "--seed is 4294967296: it takes 0 to"),
        (("apply", garbage, good, "-o", out), "garbage.caffemodel: "),
        (("apply", good, garbage, "-o", out), "garbage.caffemodel: "),
        (("apply", empty, good, "-o", out), "empty.caffemodel: no layers in it"),
        (("apply", good, "-o", out), "give WEIGHTS, or --net NET for random ones: one of both"),
        (("apply", good, good, "--net", net, "-o", out), "give WEIGHTS, or --net NET for random ones: one of both"),
        (("apply", good, good, "--seed", 1, "-o", out), "--seed is of the random weights of --net, which is missing"),
        (("apply", good, good, "--map", "a", "-o", out), "--map a: it takes OLD=NEW"),
        (("apply", good, good, "--iteration", 5, "-o", out), "good.caffemodel: holds one moment"),
        (("apply", good, good, "-o", good), "good.caffemodel: is read and would be written over"),
        (("apply", good, "--net", garbage, "-o", out), "garbage.caffemodel: a binary file; a network's prototxt"),
        (("round", nowhere, "-o", out), "nan.caffemodel: layer 'deep' (GroupedACU): synapse 3 of set 1 is at (nan"),
        (("round", good, "-o", out, "--step", 0), "--step is 0.0: it takes 1e-06 pixels or more"),
        (("round", good, "-o", out, "--step", "1e-320"), "--step is 1e-320: it takes 1e-06"),
        (("round", good, "-o", out, "--step", "nan"), "--step is nan: it takes"),
        (("round", good, "-o", out, "--layers", "steam"), "no ACU layer is called 'steam'; did you mean 'stem'?"),
        (("round", good, "-o", good), "good.caffemodel: is read and would be written over"),
        (("round", tmp_path / "none.caffemodel", "-o", out), "none.caffemodel: cannot be read"),
        (("freeze", plain, "-o", net), "plain.prototxt: no layer of type ACU"),
        (("freeze", net, "-o", net), "net.prototxt: is read and would be written over"),
        (("freeze", good, "-o", text), "good.caffemodel: a binary file; a network's prototxt was expected"),
        (("export", far, "-o", text), "far.caffemodel: layer 'deep': synapse 3 of set 1 is at (1e+06"),
        (("export", good, "-o", tmp_path / "out.xml"), "out.xml: shapes are written as .txt, .csv, .json or .npz"),
        (("export", good, "-o", tmp_path / "out.prototxt"), "out.prototxt: shapes are written as .txt, .csv, .json or"),
        (("export", good, "-o", good), "good.caffemodel: shapes are written as .txt"),
        (("export", good, "-o", text, "--out-weights", out), "--out-weights are for the network of --net"),
        (("export", good, "-o", text, "--layers", "x"), "no ACU layer is called 'x'; there are 'stem', 'deep'"),
        (("export", good, "-o", text, "--net", net), "out.txt: with --net a network is written, a .prototxt"),
        (("export", plain, "-o", text), "plain.prototxt: no layer of type ACU"),
        (("export", garbage, "-o", text), "garbage.caffemodel: "),
        (("export", tmp_path, "-o", text), f"{tmp_path}: neither positions.npz nor positions.log nor snapshots"),
    ):  # fmt: skip
        assert positions(*words) == 2, words
        error = capsys.readouterr().err
        assert error.startswith("caffe-acu positions: ") and message in error and error.count("\n") == 1, error
        assert set(tmp_path.iterdir()) == before and read_prototxt(net)


def test_what_is_read_is_not_written_over_by_any_name(tmp_path, capsys):
    npz = write_npz(tmp_path / "run" / "positions.npz")
    os.symlink(npz, tmp_path / "other.npz")
    content = npz.read_bytes()
    for out in (npz, tmp_path / "other.npz"):
        assert positions("export", tmp_path / "run", "-o", out) == 2
        assert f"{out}: is read and would be written over" in capsys.readouterr().err
    assert npz.read_bytes() == content


def test_a_file_may_be_called_like_a_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_snapshot(tmp_path / "round", 100)
    assert positions("./round") == 0
    assert positions("--json", "round") == 0
    assert capsys.readouterr().out


@pytest.mark.parametrize("command", ["export", "apply", "round", "freeze"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        positions(command, "--help")
    assert end.value.code == 0
    assert f"usage: caffe-acu positions {command} " in capsys.readouterr().out
