"""Coordinates that are drawn, read back from SVGs by the numbers at their axes, to a thousandth of a pixel."""

import numpy as np
import pytest

import position_sources
from caffe_acu.cli.main import main
from svg_figures import SvgFigure

PIXEL = 1e-3  # the tolerance
(STEM_X, STEM_Y), (DEEP_X, DEEP_Y) = position_sources.moved(200)
FREE_STEM, FREE_DEEP = np.arange(9) != 4, np.arange(5) != 2


def plot(tmp_path, *words) -> SvgFigure:
    out = tmp_path / "out.svg"
    assert main(["plot", *map(str, words), "-o", str(out)]) == 0
    return SvgFigure(out)


def snapshot(tmp_path):
    return position_sources.write_snapshot(tmp_path / "run_iter_200.caffemodel", 200)


def as_drawn(x, y) -> np.ndarray:
    return np.stack([x, y], -1)


@pytest.mark.parametrize("options", [[], ["--columns", "2", "--size", "column"], ["--frame", "7", "--size", "5x7"]])
def test_shapes_stand_where_the_caffemodel_has_them(tmp_path, options):
    figure = plot(tmp_path, "shapes", snapshot(tmp_path), *options)
    assert len(figure.axes) == 5
    sets = [("stem", 0, STEM_X, STEM_Y, FREE_STEM)] + [("deep", s, DEEP_X, DEEP_Y, FREE_DEEP) for s in range(4)]
    for layer, s, x, y, free in sets:
        for name, which in ((f"synapses-{layer}-{s}", free), (f"fixed-{layer}-{s}", ~free)):
            found = figure.read(figure.marks(name), figure.axes_of(name))
            np.testing.assert_allclose(found, as_drawn(x[s, which], y[s, which]), atol=PIXEL)


def test_sets_in_colours_stand_where_the_caffemodel_has_them(tmp_path):
    figure = plot(tmp_path, "sets", snapshot(tmp_path), "--colours", "--layers", "deep", "--sets", "0,3")
    for s in (0, 3):
        name = f"synapses-deep-{s}"
        found = figure.read(figure.marks(name), figure.axes_of(name))
        np.testing.assert_allclose(found, as_drawn(DEEP_X[s], DEEP_Y[s]), atol=PIXEL)


def test_sets_side_by_side_stand_where_the_caffemodel_has_them(tmp_path):
    """There are no numbers; the crosses at the origins are a cell apart, which is known."""
    figure = plot(tmp_path, "sets", snapshot(tmp_path))
    origins, dots = figure.marks("origins"), figure.marks("synapses-deep").reshape(4, 5, 2)
    pixels = 2 * (0.6 + max(np.abs(DEEP_X).max(), np.abs(DEEP_Y).max()))
    found = (dots - origins[:, None]) * pixels / (origins[1, 0] - origins[0, 0])
    np.testing.assert_allclose(found, as_drawn(DEEP_X, DEEP_Y), atol=PIXEL)
    assert origins[2, 1] - origins[0, 1] == pytest.approx(origins[1, 0] - origins[0, 0])


@pytest.mark.parametrize("source", ["npz", "snapshots"])
def test_movement_passes_through_what_was_recorded(tmp_path, source):
    if source == "npz":
        files = [position_sources.write_npz(tmp_path / "positions.npz")]
    else:
        files = [
            position_sources.write_snapshot(tmp_path / f"run_iter_{iteration}.caffemodel", iteration)
            for iteration in (0, 200, 100)
        ]
    figure = plot(tmp_path, "movement", *files, "--set", "0")
    moments = [position_sources.moved(iteration) for iteration in (0, 100, 200)]
    for i, (layer, synapses) in enumerate((("stem", 9), ("deep", 5))):
        for axis, symbol in enumerate("αβ"):
            for k in range(synapses):
                name = f"{symbol}-{layer}-{k}"
                found = figure.read(figure.line(name), figure.axes_of(name))
                np.testing.assert_allclose(found[:, 0], [0, 100, 200], atol=0.1)
                np.testing.assert_allclose(found[:, 1], [at[i][axis][0, k] for at in moments], atol=PIXEL)


def test_an_iteration_of_a_run(tmp_path):
    figure = plot(tmp_path, "shapes", position_sources.write_npz(tmp_path / "a.npz"), "--iteration", "100")
    x, y = position_sources.moved(100)[0]
    found = figure.read(figure.marks("synapses-stem-0"), figure.axes_of("synapses-stem-0"))
    np.testing.assert_allclose(found, as_drawn(x[0, FREE_STEM], y[0, FREE_STEM]), atol=PIXEL)


@pytest.mark.parametrize(("size", "inches"), [("column", 3.25), ("page", 6.875), ("4.5", 4.5), ("5x6", 5.0)])
def test_the_size_is_what_was_asked_for(tmp_path, size, inches):
    figure = plot(tmp_path, "shapes", snapshot(tmp_path), "--size", size)
    assert figure.inches[0] == pytest.approx(inches)
    if "x" in size:
        assert figure.inches[1] == pytest.approx(6)


def test_the_same_file_makes_the_same_picture(tmp_path):
    out = tmp_path / "out.svg"
    plot(tmp_path, "shapes", snapshot(tmp_path))
    first = out.read_bytes()
    plot(tmp_path, "shapes", snapshot(tmp_path))
    assert out.read_bytes() == first
