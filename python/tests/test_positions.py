"""Learned shapes as arrays, from every kind of file, and their figures."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection

import authors_net
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.net_param import format_prototxt
from caffe_acu.nets.builder import Acu
from caffe_acu.nets.plain import plain
from caffe_acu.plots.figures import new_figure, save
from caffe_acu.plots.movement import movement
from caffe_acu.plots.shapes import shapes
from caffe_acu.positions import iteration_of, read_positions, read_series


def write_snapshot(path, moved: float, layer: str = "conv1", kernel: int = 3) -> None:
    """A caffemodel of one ACU layer whose synapses have moved right by ``moved``, the origin excepted."""
    net = caffe_pb2.NetParameter()
    acu = net.layer.add(name=layer, type="ACU")
    acu.convolution_param.num_output = 1
    acu.convolution_param.kernel_size.append(kernel)
    acu.acu_param.warmup_iter = 10
    i, j = np.mgrid[:kernel, :kernel] - kernel // 2
    x = j + moved * ((i != 0) | (j != 0))
    for shape, values in (((1, 1, kernel, kernel), np.zeros(kernel**2)), ((1,), [0]),
                          ((1, 1, kernel, kernel), x), ((1, 1, kernel, kernel), i)):  # fmt: skip
        blob = acu.blobs.add()
        blob.shape.dim.extend(shape)
        blob.data.extend(np.ravel(values))
    path.write_bytes(net.SerializeToString())


def test_start_positions_of_a_prototxt(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(format_prototxt(plain(Acu(warmup_iter=7))))
    layers = read_positions(path)
    assert [layer.layer for layer in layers] == [f"conv{i}_{j}" for i in (1, 2, 3) for j in (1, 2)]
    first = layers[0]
    assert first.x.tolist() == [[-1, 0, 1] * 3]
    assert first.y.tolist() == [[-1] * 3 + [0] * 3 + [1] * 3]
    assert first.fixed.tolist() == [4]
    assert first.warmup_iter == 7
    assert first.mean_displacement == 0
    assert first.mean_radius == pytest.approx((4 + 4 * np.sqrt(2)) / 8)


def test_a_snapshot(tmp_path):
    write_snapshot(tmp_path / "a_iter_5.caffemodel", 0.5)
    (layer,) = read_positions(tmp_path / "a_iter_5.caffemodel")
    assert layer.x[0].tolist() == [-0.5, 0.5, 1.5, -0.5, 0, 1.5, -0.5, 0.5, 1.5]
    assert layer.displacement[0].tolist() == [0.5] * 4 + [0] + [0.5] * 4
    assert (layer.mean_displacement, layer.max_displacement) == (0.5, 0.5)


def test_the_authors_files(tmp_path):
    authors_net.write_caffemodel(tmp_path / "a.caffemodel")
    layers = read_positions(tmp_path / "a.caffemodel")
    for layer, (_, x, y) in zip(layers, authors_net.weights(), strict=True):
        assert np.allclose(layer.x[0], x) and np.allclose(layer.y[0], y)
        assert layer.fixed.tolist() == [0]
    assert layers[1].start_x.tolist() == [0, 1, 1, 0, -1, -1, -1, 0, 1]


def test_published_weights(shared):
    golden = np.load(shared / "golden" / "golden_plain10000.npz")
    layers = read_positions(shared / "golden" / "plain_iter_10000.caffemodel")
    assert len(layers) == 7
    for i, layer in enumerate(layers):
        assert np.array_equal(layer.x[0], golden[f"xpos_{i}"])
        assert np.array_equal(layer.y[0], golden[f"ypos_{i}"])
        assert layer.max_displacement < 1e-6  # the warm-up has just ended


def test_series_is_sorted_by_iteration(tmp_path):
    paths = [tmp_path / f"run_iter_{n}.caffemodel" for n in (100, 20, 3)]
    for path, moved in zip(paths, (0.75, 0.5, 0.25), strict=True):
        write_snapshot(path, moved)
    (series,) = read_series(paths)
    assert series.iterations.tolist() == [3, 20, 100]
    assert series.x[:, 0, 5].tolist() == [1.25, 1.5, 1.75]
    assert series.x[:, 0, 4].tolist() == [0, 0, 0]


def test_mistakes_are_named(tmp_path):
    with pytest.raises(UserError, match="iteration is unknown"):
        iteration_of("weights.caffemodel")
    path = tmp_path / "base.prototxt"
    path.write_text(format_prototxt(plain()))
    with pytest.raises(UserError, match=r"base\.prototxt: no layer of type ACU"):
        read_positions(path)
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 10)
    with pytest.raises(UserError, match="noise: "):
        read_positions(tmp_path / "noise")
    write_snapshot(tmp_path / "a_iter_1.caffemodel", 0)
    write_snapshot(tmp_path / "a_iter_2.caffemodel", 0, kernel=5)
    with pytest.raises(UserError, match="are not those of"):
        read_series([tmp_path / "a_iter_1.caffemodel", tmp_path / "a_iter_2.caffemodel"])


def test_shapes_figure_shows_every_synapse_where_it_is(tmp_path):
    write_snapshot(tmp_path / "a.caffemodel", 0.5)
    (layer,) = read_positions(tmp_path / "a.caffemodel")
    (axis,) = shapes([layer]).axes
    points = np.concatenate([c.get_offsets() for c in axis.collections if isinstance(c, PathCollection)])
    for x, y in zip(layer.x[0], layer.y[0], strict=True):
        assert (np.abs(points - (x, y)).max(1) < 1e-9).any()
    assert {text.get_text() for text in axis.texts} == {str(k) for k in range(9)}
    assert axis.get_aspect() == 1
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # y downwards


def test_shapes_figure_leaves_out_single_synapses_and_bounds_the_sets(tmp_path):
    authors_net.write_caffemodel(tmp_path / "a.caffemodel")
    layers = read_positions(tmp_path / "a.caffemodel")
    assert len(shapes(layers).axes) == 2  # of three layers the first has one synapse
    many = replace(layers[1], x=np.repeat(layers[1].x, 40, 0), y=np.repeat(layers[1].y, 40, 0), fixed=np.zeros(40))
    figure = shapes([many])
    assert len(figure.axes) == 12
    assert "set 0 of 40" in figure.axes[0].get_title() and "set 39 of 40" in figure.axes[11].get_title()


def test_movement_figure_has_a_line_for_each_synapse_and_the_warm_up(tmp_path):
    paths = [tmp_path / f"run_iter_{n}.caffemodel" for n in (5, 20)]
    for path, moved in zip(paths, (0.0, 0.5), strict=True):
        write_snapshot(path, moved)
    figure = movement(read_series(paths))
    lines = {tuple(line.get_ydata()) for line in figure.axes[0].lines}
    assert (1.0, 1.5) in lines and (0.0, 0.0) in lines
    assert any(list(line.get_xdata()) == [10, 10] for line in figure.axes[0].lines)


def test_figures_are_written_as_their_suffix_says(tmp_path):
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        save(new_figure(2, 2), tmp_path / f"a{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes().startswith(start)
    with pytest.raises(UserError, match="as .png, .svg or .pdf"):
        save(new_figure(2, 2), tmp_path / "a.gif")


def test_a_figure_that_cannot_be_written_is_one_line(tmp_path, capsys):
    snapshot = tmp_path / "a_iter_5.caffemodel"
    write_snapshot(snapshot, 0.5)
    out = snapshot / "a.png"  # a file where a folder should be
    assert main(["positions", str(snapshot), "--plot", str(out)]) == 2
    assert capsys.readouterr().err == f"caffe-acu positions: {out}: cannot be written: File exists\n"


def test_command(tmp_path, capsys):
    paths = [tmp_path / f"run_iter_{n}.caffemodel" for n in (20, 5)]
    for path, moved in zip(paths, (0.5, 0.0), strict=True):
        write_snapshot(path, moved)
    files = [str(path) for path in paths]
    plot, moves = tmp_path / "shapes.png", tmp_path / "movement.svg"
    assert main(["positions", *files, "--plot", str(plot), "--movement", str(moves)]) == 0
    out = capsys.readouterr().out
    assert "run_iter_20.caffemodel" in out
    assert "conv1 (ACU): moved 0.500 px on average, 0.500 at most" in out
    assert plot.exists() and moves.exists()
    assert main(["positions", files[0], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["x"][0][5] == 1.5
    assert main(["positions", files[0], "--layers", "conv7"]) == 2
    assert "no ACU layer 'conv7'; it has conv1" in capsys.readouterr().err
