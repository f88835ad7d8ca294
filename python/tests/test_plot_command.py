"""caffe-acu plot: every kind from real and synthetic files, and its errors."""

import json
import stat

import numpy as np
import pytest
from PIL import Image

import position_sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.net_param import set_blob
from caffe_acu.plots import style
from caffe_acu.plots.colours import COLOURS
from caffe_acu.reproduce.accuracy_lines import accuracy_figure
from run_folders import write_log, write_run
from svg_figures import SvgFigure


def plot(*words) -> int:
    return main(["plot", *map(str, words)])


def error(capsys, *words) -> str:
    """The one line after the command's name."""
    assert plot(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("caffe-acu plot: ") and err.count("\n") == 1
    return err.removeprefix("caffe-acu plot: ").rstrip("\n")


def write_depthwise(path, sets: int, name: str = "last", positions=None) -> None:
    """A caffemodel of one depthwise 3x3 layer; a convolution without ``positions`` x, y (sets, 9)."""
    random = np.random.default_rng(sets)
    net = caffe_pb2.NetParameter()
    layer = net.layer.add(name=name, type="GroupedACU" if positions else "Convolution")
    layer.convolution_param.num_output = layer.convolution_param.group = sets
    layer.convolution_param.kernel_size.append(3)
    set_blob(layer.blobs.add(), random.normal(size=(sets, 1, 3, 3)).astype(np.float32))
    if positions:
        for values in (np.zeros(sets), *(values.reshape(sets, 1, 3, 3) for values in positions)):
            set_blob(layer.blobs.add(), values.astype(np.float32))
    path.write_bytes(net.SerializeToString())


def scattered(sets: int):
    random = np.random.default_rng(sets)
    x, y = np.mgrid[-1.0:2, -1:2].reshape(2, 1, 9)[::-1] + random.normal(0, 0.4, (2, sets, 9))
    x[:, 4] = y[:, 4] = 0
    return x, y


@pytest.mark.parametrize("suffix", [".svg", ".png", ".pdf"])
@pytest.mark.parametrize("kind", ["shapes", "sets", "histogram", "filters"])
def test_published_weights(shared, tmp_path, capsys, kind, suffix):
    out = tmp_path / f"a{suffix}"
    assert plot(kind, shared / "golden/plain_iter_10000.caffemodel", "-o", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_bytes().startswith({".svg": b"<?xml", ".png": b"\x89PNG", ".pdf": b"%PDF"}[suffix])


def test_published_shapes_are_on_the_lattice(shared, tmp_path):
    """But for the layer of one synapse, which is no shape."""
    assert plot("shapes", shared / "golden/plain_iter_10000.caffemodel", "-o", tmp_path / "a.svg") == 0
    figure = SvgFigure(tmp_path / "a.svg")
    assert len(figure.axes) == 6
    name = "synapses-conv3_1/2-0"
    found = figure.read(figure.marks(name), figure.axes_of(name))
    ring = [(1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1)]
    np.testing.assert_allclose(found, ring, atol=1e-3)


def test_letters_of_a_pdf_are_truetype(shared, tmp_path):
    assert plot("shapes", shared / "golden/plain_iter_10000.caffemodel", "-o", tmp_path / "a.pdf") == 0
    content = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content and b"/Type3" not in content


@pytest.mark.parametrize("kind", ["shapes", "sets", "histogram"])
def test_many_sets_make_files_of_a_sane_size(tmp_path, kind):
    write_depthwise(tmp_path / "a.caffemodel", 728, positions=scattered(728))
    everything = ["--sets", "all"] if kind == "sets" else []
    assert plot(kind, tmp_path / "a.caffemodel", "-o", tmp_path / "a.svg", *everything) == 0
    assert (tmp_path / "a.svg").stat().st_size < 1_500_000
    if kind == "sets":
        assert len(SvgFigure(tmp_path / "a.svg").marks("synapses-last")) == 728 * 9


def test_a_number_of_sets_is_spread_evenly(tmp_path):
    write_depthwise(tmp_path / "a.caffemodel", 8, positions=scattered(8))
    assert plot("shapes", tmp_path / "a.caffemodel", "--sets", "2", "-o", tmp_path / "a.svg") == 0
    figure = SvgFigure(tmp_path / "a.svg")
    assert len(figure.axes) == 2 and len(figure.marks("synapses-last-0")) == len(figure.marks("synapses-last-7")) == 8


def test_merged_layers_are_counted_together(tmp_path):
    npz = position_sources.write_npz(tmp_path / "a.npz")
    assert plot("histogram", npz, "--merge", "e", "-o", tmp_path / "a.svg") == 0
    assert "2 layers, 5 sets" in (tmp_path / "a.svg").read_text()
    assert plot("histogram", npz, "--merge", "st.", "-o", tmp_path / "a.svg") == 0
    assert "<!-- ste -->" in (tmp_path / "a.svg").read_text()


def test_filters_of_two_networks_side_by_side(tmp_path):
    write_depthwise(tmp_path / "conv.caffemodel", 9)
    run = tmp_path / "acu/seed1"
    (run / "snapshots").mkdir(parents=True)
    for iteration in (5, 10):
        write_depthwise(run / f"snapshots/acu_iter_{iteration}.caffemodel", 9, positions=scattered(9))
    assert plot("filters", tmp_path / "conv.caffemodel", run, "--most", 4, "-o", tmp_path / "a.svg") == 0
    text = (tmp_path / "a.svg").read_text()
    assert "conv.caffemodel" in text and "acu/seed1" in text and str(tmp_path) not in text
    assert "4 of 9 filters within 3 x 3 pixels" in text


def results(**of_all) -> dict:
    def row(name, params, paper, mean, std=None, **others):
        ours = None if mean is None else {"mean": mean, "std": std, "n": 2, "seeds": [1, 2], "values": []}
        row = {"row": name, "dataset": "CIFAR-10", "metric": "test error %", "params": params, "madds": 2 * params}
        return row | {"paper_value": paper, "ours": ours, "remark": ""} | others | of_all

    rows = [
        row("x4d, Conv3x3", 3_000_000, 5.4, 5.5, 0.2),
        row("x4d, ACU", 4_000_000, 4.9, 5.0),
        row("x1d, Conv3x3", 1_000_000, 5.8, 6.0),
        row("x1d, ACU", 2_000_000, 4.8, None),
    ]
    return {"paper": "grouped", "table": "table3", "title": "A table", "remark": "", "rows": rows}


def test_accuracies_over_parameters_ascend():
    drawn = accuracy_figure(results(), "parameters")
    convolution, acu = drawn.lines["3x3 convolution"], drawn.lines["3x3 ACU"]
    assert (list(convolution.x), list(convolution.mean)) == ([1, 3], [94.0, 94.5])
    assert (convolution.std, convolution.printed) == ([None, 0.2], [94.2, 94.6])
    assert (list(acu.x), acu.mean) == ([4], [95.0])  # the other was not run
    assert accuracy_figure(results(), "madds").lines["3x3 ACU"].x == (8,)


def test_accuracies_over_networks_stand_in_the_order_of_the_table():
    drawn = accuracy_figure(results(), "network")
    assert drawn.lines["3x3 convolution"].x == (0, 1)
    assert drawn.xlabel == "input channels of a group" and drawn.xticks == {0: "4\nx4d", 1: "1\nx1d"}
    assert drawn.joined
    networks = results()
    for row in networks["rows"]:
        row["row"] = row["row"].replace("x", "plain", 1)
    assert not accuracy_figure(networks, "network").joined


def test_accuracies_that_are_no_errors_and_not_comparable():
    drawn = accuracy_figure(results(metric="top-1 accuracy %, 1 crop", remark="scaled"), "parameters")
    assert drawn.lines["3x3 convolution"].mean == [6.0, 5.5] and drawn.lines["3x3 convolution"].printed is None


def test_accuracy_of_a_table(tmp_path, capsys):
    table = tmp_path / "table3.json"
    table.write_text(json.dumps(results()))
    assert plot("accuracy", table, "--by", "network", "-o", tmp_path / "a.svg") == 0
    assert "<!-- 3x3 ACU, paper -->" in (tmp_path / "a.svg").read_text()
    capsys.readouterr()
    out = ["-o", tmp_path / "b.svg"]
    assert error(capsys, "accuracy", table, "--top", 5, *out) == (
        "A table: no top-5 results of ours; run: caffe-acu reproduce grouped table3"
    )
    for content in ("{", "[]", '{"rows": [{}]}', '{"rows": 5}'):
        table.write_text(content)
        assert error(capsys, "accuracy", table, *out).startswith(f"{table}: no results of a table; the .json")
    table.write_text(json.dumps(results(metric="improvement over Base, points")))
    assert "differences" in error(capsys, "accuracy", table, *out)
    assert not (tmp_path / "b.svg").exists()


def test_curves_of_folders_and_logs(tmp_path, capsys):
    for name in ("base", "acu"):
        (tmp_path / name).mkdir()
        write_log(tmp_path / name, [0, 100, 200], [2.5, 2.0, 1.5], [0, 200], [90.0, 40.0], [0.1, 0.1, 0.01])
    files = [tmp_path / "base", tmp_path / "acu/train.log"]
    assert plot("curves", *files, "--names", "base", "ACU", "-o", tmp_path / "a.svg") == 0
    text = (tmp_path / "a.svg").read_text()
    assert all(f"<!-- {label} -->" in text for label in ("base: loss", "ACU: test error", "drops of the learning rate"))
    capsys.readouterr()
    out = ["-o", tmp_path / "b.svg"]
    assert "2 names for 1 FILEs" in error(capsys, "curves", files[0], *out, "--names", "a", "b")
    assert "tell them apart with --names" in error(capsys, "curves", files[1], files[1], *out)
    assert "a figure shows 9 at most" in error(capsys, "curves", *10 * files[:1], *out)
    assert f"{tmp_path}: no curves in it" in error(capsys, "curves", tmp_path, *out)


def test_a_title_says_what_is_not_comparable(tmp_path):
    run = write_run(tmp_path, "cvpr2017/plain_acu", 1, 60.0, scale=640, differs="few images")
    whole = write_run(tmp_path, "cvpr2017/plain_acu", 2, 8.0)
    for folder in (run, whole):
        for iteration in (0, 100):
            position_sources.write_snapshot(folder / "snapshots" / f"plain_acu_iter_{iteration}.caffemodel", iteration)
    snapshot, out = "snapshots/plain_acu_iter_100.caffemodel", tmp_path / "a.svg"
    remark = "few images, scaled 1/640, not comparable"
    for kind in ("shapes", "movement", "sets", "histogram", "filters", "curves"):
        assert plot(kind, run, "-o", out, "--size", "20") == 0
        assert out.read_text().count(remark) == 1, kind
        assert plot(kind, whole, "-o", out) == 0
        assert "comparable" not in out.read_text()
    assert plot("shapes", run / snapshot, "-o", out, "--size", "20") == 0
    assert remark in out.read_text()
    assert plot("curves", whole, run, "-o", out, "--names", "a", "b", "--size", "20") == 0
    assert remark in out.read_text()
    assert plot("shapes", run, "-o", out, "--title", "Mine") == 0
    assert "comparable" not in out.read_text()


def test_several_snapshots_are_called_by_the_one_that_is_drawn(tmp_path):
    files = [position_sources.write_snapshot(tmp_path / f"a_iter_{i}.caffemodel", i) for i in (5, 200, 10)]
    out = tmp_path / "a.svg"
    for kind in ("shapes", "sets", "histogram"):
        for options, drawn in (([], 200), (["--iteration", "10"], 10)):
            assert plot(kind, *files, *options, "-o", out) == 0
            assert f"<!-- a_iter_{drawn}.caffemodel" in out.read_text() and "iteration 10" not in out.read_text()


def test_an_animation_shows_every_moment(tmp_path):
    npz = position_sources.write_npz(tmp_path / "a.npz", (0, 5, 20, 100))
    out = tmp_path / "a.gif"
    assert plot("animation", npz, "--seconds", "2", "-o", out) == 0
    with Image.open(out) as film:
        assert film.n_frames == 4
        durations, pictures = [], []
        for i in range(4):
            film.seek(i)
            durations.append(film.info["duration"])
            pictures.append(np.asarray(film.convert("RGB")).astype(int))
    assert durations == [500, 500, 500, 2000]
    blue = tuple(int(COLOURS[0][i : i + 2], 16) for i in (1, 3, 5))
    for picture in pictures:  # colours are what they are in figures
        assert (picture == 255).all(-1).mean() > 0.5 and (picture == blue).all(-1).sum() > 100
    assert all((a != b).any() for a, b in zip(pictures, pictures[1:], strict=False))
    assert plot("animation", npz, "--moments", "2", "-o", out) == 0
    with Image.open(out) as film:
        assert film.n_frames == 2


def test_films_are_made_by_ffmpeg(tmp_path, capsys, monkeypatch):
    npz, out = position_sources.write_npz(tmp_path / "a.npz"), tmp_path / "a.mp4"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert error(capsys, "animation", npz, "-o", out) == (
        f"{out}: needs ffmpeg, which is not there: install it, or write a .gif"
    )
    # In its place a program that keeps what it is given, and how long its pictures are.
    program = tmp_path / "ffmpeg"
    program.write_text(f'#!/bin/sh\nfor last; do :; done\n/bin/cat > "$last"\necho "$@" > {tmp_path}/words\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    assert plot("animation", npz, "-o", out) == 0
    words = (tmp_path / "words").read_text().split()
    width, height = map(int, words[words.index("-s") + 1].split("x"))
    assert out.stat().st_size == 3 * 3 * width * height
    program.write_text("#!/bin/sh\necho one >&2\necho 'no encoder' >&2\nexit 3\n")
    out.unlink()
    capsys.readouterr()
    assert error(capsys, "animation", npz, "-o", out) == f"{out}: ffmpeg failed: no encoder; write a .gif"
    assert not out.exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shapes", "RUN", "--layers", "conv7"], "no ACU layer 'conv7'; it has stem, deep"),
        (["shapes", "RUN", "--iteration", "7"], "7"),
        (["shapes", "RUN", "--sets", "0,4"], "--sets 0,4: layer 'stem' has 1 set(s), numbered from 0"),
        (["shapes", "RUN", "--sets", "many"], "--sets many: all, a number of sets, or their numbers with commas"),
        (["shapes", "RUN", "--sets", "0"], "--sets 0: all, a number"),
        (["shapes", "RUN", "--frame", "4"], "--frame 4: an odd number"),
        (["shapes", "RUN", "--columns", "0"], "--columns 0: 1 or more"),
        (["shapes", "RUN", "--columns", "99", "--size", "1"], "are too many for"),
        (["shapes", "RUN", "--size", "6xx"], "--size 6xx: column, page"),
        (["shapes", "RUN", "--size", "0.1"], "--size 0.1: column, page"),
        (["shapes", "RUN/nowhere"], "nowhere"),
        (["movement", "RUN", "--set", "3"], "--set 3: layer 'stem' has 1 set(s), numbered from 0"),
        (["movement", "RUN/train_val.prototxt"], "train_val.prototxt"),
        (["sets", "RUN", "--layers", "stem", "deep"], "side by side are the sets of one layer"),
        (["sets", "RUN", "--columns", "3"], "only with --colours"),
        (["sets", "MANY", "--colours", "--sets", "all"], "colours tell 5 sets apart"),
        (["histogram", "RUN", "--merge", "("], "--merge (: no regular expression"),
        (["histogram", "RUN", "--merge", "x"], "--merge x is found in no name of a layer; there are stem, deep"),
        (["histogram", "POISONED"], "POISONED: layer 'deep': a synapse is 3,000,000 pixels from the base point"),
        (["movement", "POISONED"], "POISONED: one moment alone shows no movement; give several snapshots"),
        (["animation", "POISONED", "-o", "a.gif"], "one moment alone shows no movement"),
        (["filters", "RUN", "--layer", "conv7"], "no convolution 'conv7' with weights; there are stem, deep"),
        (["filters", "RUN", "MANY"], "no convolution with weights, larger than 1x1, that every FILE has"),
        (["filters", "RUN", "--most", "0"], "--most 0: 1 or more"),
        (["filters", "EMPTY"], "no snapshots in it"),
        (["animation", "RUN"], "an animation is written as .gif or .mp4"),
        (["animation", "RUN", "--seconds", "nan", "-o", "a.gif"], "--moments 120 --seconds nan: more than 0"),
    ],
)
def test_mistakes_are_told_in_a_line(tmp_path, capsys, words, message):
    run = position_sources.write_run(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    write_depthwise(tmp_path / "many.caffemodel", 8, positions=scattered(8))
    far = position_sources.write_snapshot(tmp_path / "far_iter_5.caffemodel", 5, poison=3e6)
    places = {"RUN": run, "MANY": tmp_path / "many.caffemodel", "EMPTY": tmp_path / "empty", "POISONED": far}
    for name, place in places.items():
        *words, message = (word.replace(name, str(place)) for word in (*words, message))
    before = sorted(tmp_path.rglob("*"))
    assert message in error(capsys, words[0], "-o", tmp_path / "a.svg", *words[1:])
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(("kind", "one_moment"), [("shapes", True), ("movement", False), ("animation", False)])
def test_help_tells_which_files_a_kind_takes(capsys, kind, one_moment):
    with pytest.raises(SystemExit) as end:
        plot(kind, "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert end.value.code == 0
    assert text.count("several snapshots of a run or their folder") == 2 and ("a prototxt" in text) == one_moment


@pytest.mark.parametrize("name", ["middle_block3_conv3_depthwise", "a" * 60, "inception/3x3, set 12 of 728", "-"])
@pytest.mark.parametrize("points", [40, 90, 400])
def test_names_are_broken_into_lines_that_fit(name, points):
    lines = style.broken(name, points, 7).split("\n")
    assert all(style.text_width(line, 7) <= points for line in lines)
    if "…" not in "".join(lines):
        assert "".join(lines).replace(" ", "") == name.replace(" ", "")
    elif name != "a" * 60:
        assert points == 40
