"""Differences of networks and of moments, against loops over the synapses; and through the command."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import authors_net
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.inspection.difference import differences
from caffe_acu.positions import read
from position_sources import LAYERS, moved, write_npz, write_run, write_snapshot


def by_loops(first: int, second: int, layer: int) -> list[list[tuple[float, float]]]:
    (ax, ay), (bx, by) = moved(first)[layer], moved(second)[layer]
    return [[(bx[s, k] - ax[s, k], by[s, k] - ay[s, k]) for k in range(ax.shape[1])] for s in range(len(ax))]


def test_against_loops(tmp_path):
    first = write_snapshot(tmp_path / "a.caffemodel", 100)
    second = write_snapshot(tmp_path / "b.caffemodel", 350)
    found = differences(read(first), read(second))
    for i, (layer, (name, kind, _, sets, kernel, _, _)) in enumerate(zip(found, LAYERS, strict=True)):
        ways = by_loops(100, 350, i)
        assert (layer.layer, layer.type) == (name, kind)
        centre = kernel[0] * kernel[1] // 2  # fixed: it counts nowhere
        distances = [math.hypot(*ways[s][k]) for s in range(sets) for k in range(len(ways[s])) if k != centre]
        assert layer.mean == pytest.approx(sum(distances) / len(distances), rel=1e-12)
        assert layer.rms == pytest.approx(math.sqrt(sum(d * d for d in distances) / len(distances)), rel=1e-12)
        assert layer.max == pytest.approx(max(distances), rel=1e-12)
        s, k = layer.farthest
        assert math.hypot(*ways[s][k]) == pytest.approx(max(distances), rel=1e-12)
        for (s, k), dx in np.ndenumerate(layer.dx):
            assert (dx, layer.dy[s, k]) == pytest.approx(ways[s][k], abs=1e-12)
    assert all(layer.max == 0 for layer in differences(read(first), read(first)))


def test_a_synapse_counts_if_it_may_move_in_one_of_them(tmp_path):
    stem = read(write_snapshot(tmp_path / "a.caffemodel", 0))[:1]
    free = [replace(stem[0], x=stem[0].x + 1, fixed=np.array([-1]))]
    assert differences(stem, free)[0].free.all() and differences(free, stem)[0].free.all()
    assert not differences(stem, stem)[0].free.all()
    x = stem[0].x + [[0, 0, 0, 0, 9, 0, 0.5, 0, 0]]  # the fifth is fixed
    (found,) = differences(stem, [replace(stem[0], x=x)])
    assert (found.max, found.farthest) == (0.5, (0, 6))


def test_two_moments_of_a_run_and_two_runs(tmp_path, capsys):
    run, npz = write_run(tmp_path / "run"), write_npz(tmp_path / "positions.npz", (0, 100, 300))
    commands = (
        ([run, "--iterations", 100, 200], 100, 200),
        ([npz, "--iterations", 300, 100], 300, 100),
        ([run, npz], 200, 300),
        ([run, npz, "--iterations", 0, 100], 0, 100),
        ([run / "train_val.prototxt", run / "snapshots"], 0, 200),
    )
    for arguments, first, second in commands:
        assert main(["positions", "diff", *map(str, arguments), "--format", "json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert str(arguments[0]) in found["first"]
        for i, layer in enumerate(found["layers"]):
            ways = np.array(by_loops(first, second, i))
            np.testing.assert_allclose(np.stack([layer["dx"], layer["dy"]], axis=-1), ways, rtol=0, atol=1e-12)
            farthest = ways[layer["farthest"]["set"]][layer["farthest"]["synapse"]]
            assert layer["max"] == pytest.approx(math.hypot(*farthest))


def test_as_text(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    assert main(["positions", "diff", str(run), "--iterations", "0", "200"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"from {run}, iteration 0\nto   {run}, iteration 200\n\n")
    summary, stem, deep = out.rstrip("\n").split("\n\n")[1:]
    found = differences(read(run, iteration=0), read(run))
    for line, layer in zip(summary.splitlines()[2:], found, strict=True):
        sets, synapses = layer.dx.shape
        numbers = [f"{value:.3f}" for value in (layer.mean, layer.rms, layer.max)]
        assert line.split()[:7] == [layer.layer, layer.type, str(sets), str(synapses), *numbers]
    assert summary.splitlines()[-1].endswith("synapse {1} of set {0}".format(*found[1].farthest))
    for k, line in enumerate(stem.splitlines()[2:]):
        dx, dy = by_loops(0, 200, 0)[0][k]
        assert line.split() == [str(k), f"{dx:.3f}", f"{dy:.3f}", f"{math.hypot(dx, dy):.3f}"]
    assert deep.startswith("deep, means over 4 sets\n")
    for k, line in enumerate(deep.splitlines()[2:]):
        ways = [way[k] for way in by_loops(0, 200, 1)]
        distances = [math.hypot(*way) for way in ways]
        means = [sum(values) / 4 for values in (*zip(*ways, strict=True), distances)]
        assert line.split() == [str(k), *(f"{value:.3f}" for value in (*means, max(distances)))]


def test_what_cannot_be_compared(tmp_path, capsys):
    run = write_run(tmp_path / "run")
    (stem, deep), other = read(run), tmp_path / "other.prototxt"
    backwards = replace(stem, start_x=stem.start_x[::-1], start_y=stem.start_y[::-1])
    for second, words in (
        ([stem], "ACU layer 'deep' is not in the second"),
        ([stem, deep, replace(deep, layer="deeper")], "ACU layer 'deeper' is not in the first"),
        ([stem, replace(deep, x=deep.x[:2])], r"'deep': 4 set\(s\) of 1x5 synapses in the first, 2 set\(s\) of"),
        ([stem, replace(deep, kernel_size=(5, 1))], r"4 set\(s\) of 5x1 synapses in the second"),
        ([backwards, deep], "in another order in the second"),
        ([replace(stem, type="AConvFast", start_x=stem.start_x * 1.1), deep], r"another order .*\(ACU, AConvFast\)"),
    ):
        with pytest.raises(UserError, match=words):
            differences([stem, deep], second)
    assert differences([stem, deep], [replace(stem, start_x=stem.start_x * 2), deep])  # another dilation is no order
    other.write_text(authors_net.PROTOTXT)
    for arguments, words in (
        ([run], f"{run}: one alone has no difference; give another, or --iterations I J"),
        ([run, other], f"{run} and {other}: ACU layer 'deep' is not in the second"),
        ([run, "--iterations", "0", "7"], "no snapshot of iteration 7; there are 0, 100, 200"),
        ([run, other, "--iterations", "0", "7"], f"{other}: holds one moment"),
    ):
        assert main(["positions", "diff", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("caffe-acu positions: ") and words in error and error.count("\n") == 1
