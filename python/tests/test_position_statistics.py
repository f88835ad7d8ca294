"""Statistics of layers against loops over every synapse and every pixel around it."""

import csv
import io
import itertools
import json
import math

import caffe
import numpy as np
import pytest

from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.inspection.box import Box
from caffe_acu.inspection.receptive_field import NotFollowed, ReceptiveField
from caffe_acu.inspection.statistics import layer_statistics, statistics
from caffe_acu.positions import LayerPositions, read
from position_sources import LAYERS, PROTOTXT, moved, write_npz, write_run, write_snapshot

UNKNOWN = NotFollowed("not asked for")


def random_layer(seed: int) -> LayerPositions:
    """Sets in which another synapse is fixed, or none; some coordinates whole."""
    rng = np.random.default_rng(seed)
    sets, synapses = int(rng.integers(1, 6)), int(rng.integers(2, 10))
    x, y = rng.normal(0, 2, (2, sets, synapses))
    for values in (x, y):
        whole = rng.random(values.shape) < 0.3
        values[whole] = np.round(values[whole])
    start_x, start_y = rng.normal(0, 1, (2, synapses))
    fixed = rng.integers(-1, synapses, sets)
    return LayerPositions("acu", "GroupedACU", x, y, start_x, start_y, fixed, (1, synapses), 0, (2, 1), 3)


@pytest.mark.parametrize("seed", range(12))
def test_every_number_by_loops(seed):
    layer = random_layer(seed)
    found = layer_statistics(layer, UNKNOWN)
    sets, synapses = layer.x.shape
    points = {(s, k): (float(layer.x[s, k]), float(layer.y[s, k])) for s in range(sets) for k in range(synapses)}
    free = [(s, k) for s, k in points if k != layer.fixed[s]]
    ways = [math.dist(points[s, k], (layer.start_x[k], layer.start_y[k])) for s, k in free]
    assert found.mean_displacement == pytest.approx(math.fsum(ways) / len(ways), rel=1e-12)
    assert found.max_displacement == pytest.approx(max(ways), rel=1e-12)
    radii = [math.hypot(*points[place]) for place in free]
    assert found.mean_radius == pytest.approx(math.fsum(radii) / len(radii), rel=1e-12)
    assert found.max_radius == pytest.approx(max(radii), rel=1e-12)

    squares = []
    for k in range(synapses):
        of_k = [points[s, k] for s in range(sets) if (s, k) in free]
        for point in of_k:
            mean = [math.fsum(values) / len(of_k) for values in zip(*of_k, strict=True)]
            squares.append(math.dist(point, mean) ** 2)
    assert found.spread == pytest.approx(math.sqrt(math.fsum(squares) / len(squares)), rel=1e-9, abs=1e-12)

    xs, ys = zip(*points.values(), strict=True)
    assert found.extent == Box(min(xs), min(ys), max(xs), max(ys))

    taps: list[set] = [set() for _ in range(sets)]
    for (s, _), (x, y) in points.items():
        for column, row in itertools.product(range(-12, 13), repeat=2):
            if abs(x - column) < 1 and abs(y - row) < 1:  # where the weight of bilinear sampling is not 0
                taps[s].add((column, row))
    every = set.union(*taps)
    columns, rows = zip(*every, strict=True)
    assert found.pixels == Box(min(columns), min(rows), max(columns), max(rows))
    height, width = found.pixels.size
    assert (height, width) == (max(rows) - min(rows) + 1, max(columns) - min(columns) + 1)
    assert found.taps == len(every)
    assert found.mean_taps == pytest.approx(sum(map(len, taps)) / sets)
    assert found.sparsity == pytest.approx(1 - sum(map(len, taps)) / sets / (height * width))
    assert (found.sets, found.synapses, found.stride, found.groups) == (sets, synapses, (2, 1), 3)


def test_one_set_and_no_free_synapse():
    still = LayerPositions("acu", "ACU", *np.zeros((2, 1, 1)), *np.zeros((2, 1)), np.array([0]), (1, 1))
    found = layer_statistics(still, UNKNOWN)
    assert (found.max_displacement, found.spread, found.max_radius, found.taps) == (0, 0, 0, 1)
    assert found.extent.size == found.pixels.size == (1, 1)


def test_where_the_network_is_known_and_where_not(tmp_path):
    run = write_run(tmp_path / "run")
    npz = write_npz(tmp_path / "alone" / "positions.npz")
    weights = write_snapshot(tmp_path / "net.caffemodel", 200)
    net = caffe.Net(str(run / "train_val.prototxt"), str(weights), caffe.TEST)
    for source in (run, net, weights, [run / "snapshots" / "run_iter_200.caffemodel"]):
        stem, deep = statistics(source)
        # The second layer reads its 1 x 5 taps in steps of the first, 2 pixels; unpadded, from its third column.
        for layer, jump in ((stem, (2, 2)), (deep, (2, 6))):
            assert isinstance(layer.reach, ReceptiveField) and layer.reach.jump == jump
        (x, y), (dx, dy) = moved(200)
        assert deep.reach.extent.left == pytest.approx(x.min() + 2 * (2 + dx.min()), abs=1e-9)
        assert deep.reach.extent.bottom == pytest.approx(y.max() + 2 * dy.max(), abs=1e-9)
    assert [layer.reach for layer in statistics(npz)] == [
        NotFollowed("the network is not known: give its prototxt")
    ] * 2
    assert statistics(npz, run / "train_val.prototxt")[1].reach == statistics(run)[1].reach
    assert statistics(run, iteration=0)[1].max_displacement == 0


def test_snapshots_that_are_counted_up_as_they_are_found(tmp_path):
    run = write_run(tmp_path)
    (_, last) = statistics(path for path in (run / "snapshots").iterdir())
    assert last == statistics(run)[1] and isinstance(last.reach, ReceptiveField)


def test_as_csv_and_json(tmp_path, capsys):
    run, npz = write_run(tmp_path / "run"), write_npz(tmp_path / "positions.npz")
    found = statistics(run)
    assert main(["positions", "stats", str(run), "--format", "csv"]) == 0
    table = capsys.readouterr().out
    assert main(["positions", "stats", str(run), "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    for row, entry, layer in zip(csv.DictReader(io.StringIO(table)), data, found, strict=True):
        for name in ("layer", "type", "sets", "synapses", "groups", "spread", "taps", "mean_radius", "sparsity"):
            assert row[name] == str(getattr(layer, name)) and entry[name] == getattr(layer, name)
        for end in ("left", "top", "right", "bottom"):
            assert float(row[f"extent_{end}"]) == entry["extent"][end] == getattr(layer.extent, end)
            assert float(row[f"field_pixels_{end}"]) == getattr(layer.reach.pixels, end)
            assert entry["reach"]["pixels"][end] == getattr(layer.reach.pixels, end)
        assert (int(row["stride_height"]), int(row["stride_width"])) == layer.stride == tuple(entry["stride"])
        assert (row["reach"], entry["reach"]["kind"]) == ("box", "box")
    assert main(["positions", "stats", str(npz), "--format", "csv"]) == 0
    unknown = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert table.splitlines()[0] == ",".join(unknown[0])
    assert [unknown[1][name] for name in ("stride_width", "groups", "jump_width", "reach")] == ["", "", "", "unknown"]
    assert main(["positions", "stats", str(npz), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["reach"]["kind"] == "unknown"


def test_as_text_and_markdown(tmp_path, capsys):
    run, npz = write_run(tmp_path / "run"), write_npz(tmp_path / "positions.npz")
    assert main(["positions", "stats", str(run)]) == 0
    text = capsys.readouterr().out
    deep = statistics(run)[1]
    line = next(line for line in text.splitlines() if line.startswith("deep"))
    assert line.split()[:4] == ["deep", "GroupedACU", "4", "5"]
    assert f"{deep.mean_displacement:.3f}" in line and f"{deep.spread:.3f}" in line
    height, width = deep.reach.pixels.size
    assert f"{height}x{width}" in line and line.endswith("2x6")
    assert max(map(len, text.splitlines()[4:])) <= 120
    assert main(["positions", "stats", str(run), "--iteration", "0", "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len({line.count("|") for line in lines[:4]}) == 1 and "| 0.000 |" in lines[3]
    assert main(["positions", "stats", str(npz)]) == 0
    assert "?: the network is not known: give its prototxt" in capsys.readouterr().out
    assert main(["positions", "stats", str(npz), "--net", str(run / "train_val.prototxt")]) == 0
    assert "?" not in capsys.readouterr().out


def test_a_layer_behind_the_whole_image(tmp_path, capsys):
    path = tmp_path / "net.prototxt"
    pooled = 'layer { name: "gap" type: "Pooling" bottom: "data" top: "gap" pooling_param { global_pooling: true } }\n'
    data, *layers = PROTOTXT.splitlines(keepends=True)
    path.write_text(data + pooled + "".join(layers).replace('"data"', '"gap"'))
    assert main(["positions", "stats", str(path)]) == 0
    assert "  all " in capsys.readouterr().out.splitlines()[1]


def test_mistakes_are_one_line(tmp_path, capsys):
    run, npz = write_run(tmp_path / "run"), write_npz(tmp_path / "positions.npz")
    other = tmp_path / "other.prototxt"
    other.write_text(PROTOTXT.replace('"deep"', '"deeper"'))
    absent = tmp_path / "absent.prototxt"
    for arguments, words in (
        ([npz, "--net", other], f"{other}: no ACU layer 'deep' of 4 set(s)"),
        ([npz, "--net", absent], f"{absent}: cannot be read"),
        ([run, "--iteration", "5"], "no snapshot of iteration 5; there are 0, 100, 200"),
        ([run, npz], f"{run}: a folder, which holds a whole run; give it without other files"),
        ([npz, run], f"{npz}: a position log, which holds a whole run"),
    ):
        assert main(["positions", "stats", *map(str, arguments)]) == 2
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1
    far = write_snapshot(tmp_path / "far_iter_5.caffemodel", 5, poison=3e6)
    assert main(["positions", "stats", str(far)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"caffe-acu positions: {far}: layer 'deep': synapse 3 of set 1 is at (3e+06")
    (layer, _) = read(npz)
    layer.x[0, 0] = 1e9
    with pytest.raises(UserError, match="layer 'stem': synapse 0 of set 0 is at"):
        layer_statistics(layer, UNKNOWN)
    cut = tmp_path / "cut.prototxt"
    cut.write_text(PROTOTXT.replace('bottom: "stem"', 'bottom: "gone"'))
    with pytest.raises(UserError, match=r"cut\.prototxt: layer 'deep' .* makes its bottom 'gone'"):
        statistics(cut)


def test_the_command_that_prints_positions_takes_the_same_sources(tmp_path, capsys):
    run, npz = write_run(tmp_path / "run"), write_npz(tmp_path / "positions.npz", (50, 200))
    assert main(["positions", str(run)]) == 0
    assert capsys.readouterr().out.startswith(f"{run}\n\n{LAYERS[0][0]} (ACU): moved ")
    assert main(["positions", str(npz), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[1]["x"] == moved(200)[1][0].tolist()
    assert main(["positions", str(npz)]) == 0
    assert capsys.readouterr().out.startswith(f"{npz}, iteration 200, from iteration 50\n")


@pytest.mark.parametrize("command", ["stats", "diff"])
def test_help(command, capsys):
    with pytest.raises(SystemExit) as end:
        main(["positions", command, "--help"])
    assert end.value.code == 0
    assert f"usage: caffe-acu positions {command} " in capsys.readouterr().out
