"""What the papers' figures draw are the arrays that they are given."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.patches import Rectangle
from matplotlib.path import Path

from caffe_acu.kernels import DenseKernel
from caffe_acu.plots.accuracy import AccuracyLine, accuracy_lines
from caffe_acu.plots.animation import shapes_over_time
from caffe_acu.plots.curves import training_curves
from caffe_acu.plots.filters import filters, mosaic
from caffe_acu.plots.position_sets import position_histograms, position_sets, sets_in_colours
from caffe_acu.plots.shapes import shapes
from caffe_acu.plots.style import COLUMN, PAGE, Size, text_width
from caffe_acu.positions import LayerPositions, LayerSeries

START_Y, START_X = np.mgrid[-1.0:2, -1:2].reshape(2, 9)


def layer(sets: int, name: str = "conv", spread: float = 0.5) -> LayerPositions:
    """A 3x3 layer whose synapses have moved at random, all but the fifth of each set."""
    random = np.random.default_rng(sets)
    moved = random.uniform(-spread, spread, (2, sets, 9))
    moved[:, :, 4] = 0
    return LayerPositions(
        layer=name,
        type="GroupedACU",
        x=START_X + moved[0],
        y=START_Y + moved[1],
        start_x=START_X,
        start_y=START_Y,
        fixed=np.full(sets, 4),
        kernel_size=(3, 3),
    )


def run(iterations: int, last_error: float) -> SimpleNamespace:
    return SimpleNamespace(
        iterations=np.arange(iterations),
        loss=np.linspace(2, 1, iterations),
        test_iterations=np.array([0, iterations - 1]),
        test_error=np.array([90, last_error]),
    )


def of_kind(axis, kind) -> list:
    return [collection for collection in axis.collections if isinstance(collection, kind)]


def test_training_curves_solid_and_dashed_with_the_warm_up():
    runs = {"base": run(100, 12.0), "ACU": run(80, 10.0)}
    losses, errors = training_curves(runs, warmup_iter=30).axes
    for i, one in enumerate(runs.values()):
        raw = losses.lines[2 * i]
        np.testing.assert_array_equal(raw.get_xydata(), np.stack([one.iterations, one.loss], 1))
        dashed = errors.lines[i]
        assert dashed.get_linestyle() == "--" and losses.lines[2 * i + 1].get_linestyle() == "-"
        assert dashed.get_color() == raw.get_color()
        np.testing.assert_array_equal(dashed.get_xydata(), np.stack([one.test_iterations, one.test_error], 1))
    assert losses.lines[0].get_color() != losses.lines[2].get_color()
    assert list(losses.lines[-1].get_xdata()) == [30, 30]
    assert errors.get_ylim() == (0, 36)  # the end is what is compared


def test_a_curve_is_seen_under_another_that_coincides():
    losses, errors = training_curves({"base": run(100, 12.0), "ACU": run(100, 12.0)}).axes
    for base, acu in ((losses.lines[1], losses.lines[3]), errors.lines):
        assert base.get_linewidth() > 1.5 * acu.get_linewidth()


def test_drops_of_the_rate_are_marked_and_explained_once():
    figure = training_curves({"base": run(100, 12.0)}, rate_drops=[50, 75])
    losses, _ = figure.axes
    assert [list(line.get_xdata()) for line in losses.lines[-2:]] == [[50, 50], [75, 75]]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()].count("drops of the learning rate") == 1
    assert losses.get_xlim() == (0, 99)


@pytest.mark.parametrize("size", [PAGE, COLUMN, Size(3.25, 6)])
@pytest.mark.parametrize("count", [3, 8])
def test_names_of_many_curves_stay_on_the_page(count, size):
    runs = {f"resnet29_{i}/seed{i}": run(100, 12.0) for i in range(count)} | {"long" * 20: run(100, 12.0)}
    for figure in (
        training_curves(runs, "A title", 30, [50], size),
        accuracy_lines({name: AccuracyLine([1, 2], [3, 4], [None, 1], [3, 4]) for name in runs}, "x", size=size),
    ):
        figure.canvas.draw()
        (legend,) = figure.legends
        box, page = legend.get_window_extent(), figure.bbox
        assert page.x0 <= box.x0 < box.x1 <= page.x1 and page.y0 <= box.y0 < box.y1 <= page.y1
        assert figure.axes[0].get_window_extent().height > 0.25 * page.height
        columns = {}
        for text in legend.get_texts():
            columns.setdefault(round(text.get_window_extent().x0), []).append(text.get_text())
        if figure.axes[0].get_xlabel() == "iteration":  # the two of a run one below the other
            assert all(len(names) % 2 == 0 for names in list(columns.values())[:-1])


def test_training_curves_without_warm_up_and_with_great_errors():
    losses, errors = training_curves({"base": run(100, 70.0)}).axes
    assert len(losses.lines) == 2
    assert errors.get_ylim() == (0, 100)


@pytest.mark.parametrize("size", [COLUMN, PAGE, Size(3.25, 2)])
def test_headings_of_filters_do_not_run_into_each_other(size):
    kernel = DenseKernel(np.ones((64, 64, 5, 5)), (-2, -2), 1)
    figure = filters({"resnet29_7x7/seed1": kernel, "resnet29_acu/seed1": kernel}, "stage3", size=size)
    figure.canvas.draw()
    first, second = (axis.title.get_window_extent() for axis in figure.axes[:2])
    assert figure.bbox.x0 <= first.x0 < first.x1 < second.x0 < second.x1 <= figure.bbox.x1
    assert max(first.y1, second.y1) < figure._suptitle.get_window_extent().y0


@pytest.mark.parametrize("far", [1.5, 12.4, 130.0, 1e3, 3e6])
def test_numbers_at_the_axes_are_plain_and_do_not_overlap(far):
    moved = layer(1)
    moved.x[0, 0] = -far
    figure = shapes([moved, layer(1, "other")], columns=5, size=COLUMN)
    figure.canvas.draw()
    axis = figure.axes[0]
    labels = [text for text in axis.get_xticklabels() if text.get_text()]
    boxes = [text.get_window_extent() for text in labels]
    assert all(left.x1 < right.x0 for left, right in zip(boxes, boxes[1:], strict=False))
    assert [float(text.get_text().replace("−", "-")) for text in labels] == list(axis.get_xticks())


def test_shapes_in_columns_with_a_frame():
    layers = [layer(1, str(i)) for i in range(5)]
    axes = shapes(layers, columns=3, frame=7).axes
    left, bottom = ([round(getattr(axis.get_position(), side), 6) for axis in axes] for side in ("x0", "y0"))
    assert left[:3] == sorted(set(left)) and left[3:] == left[:2]
    assert bottom[0] == bottom[1] == bottom[2] > bottom[3] == bottom[4]
    (frame,) = [patch for patch in axes[0].patches if isinstance(patch, Rectangle)]
    assert frame.get_bbox().bounds == (-3, -3, 6, 6)
    assert axes[0].get_xlim()[1] > 3


def test_shapes_tell_of_each_set_how_far_it_moved():
    x = np.tile(START_X, (2, 1))
    x[1, :4] += 0.8  # of eight that are free
    moved = replace(layer(2), x=x, y=np.tile(START_Y, (2, 1)))
    titles = [axis.get_title().replace("\xa0", " ") for axis in shapes([moved]).axes]
    assert ["moved 0.00 px" in titles[0], "moved 0.40 px" in titles[1]] == [True, True]


def test_position_sets_stand_in_their_cells():
    of = layer(7)
    chosen = np.array([0, 2, 3, 5, 6])  # in three columns and two rows
    (axis,) = position_sets(of, chosen, "Title").axes
    crosses, dots = (collection.get_offsets() for collection in of_kind(axis, PathCollection))
    pitch = crosses[1, 0]
    assert f"a cell is {pitch:.1f} x {pitch:.1f} pixels" in axis.get_figure().get_suptitle()
    centres = pitch * np.array([(0, 0), (1, 0), (2, 0), (0, 1), (1, 1)])
    np.testing.assert_allclose(crosses, centres)
    expected = np.stack([of.x[chosen], of.y[chosen]], -1)
    relative = dots.reshape(5, 9, 2) - centres[:, None]
    np.testing.assert_allclose(relative, expected)
    assert np.abs(relative).max() < pitch / 2  # each in its cell
    (ways,) = axis.patches
    assert ways.get_zorder() > max(dots.get_zorder() for dots in of_kind(axis, PathCollection))  # short ones, too
    segments = ways.get_path().vertices.reshape(5, 9, 2, 2) - centres[:, None, None]
    assert ways.get_path().codes.tolist() == 45 * [Path.MOVETO, Path.LINETO]
    np.testing.assert_allclose(segments[:, :, 1], expected)
    np.testing.assert_allclose(segments[:, :, 0], np.broadcast_to(np.stack([START_X, START_Y], -1), (5, 9, 2)))
    assert axis.get_ylim()[0] > axis.get_ylim()[1]  # y downwards


def test_sets_in_colours():
    layers = [layer(20, "a"), layer(8, "b"), layer(5, "c"), layer(6, "d")]
    chosen = [np.array([0, 9, 19]), np.array([1, 7]), np.arange(5), np.array([2])]
    axes = sets_in_colours(layers, chosen).axes
    assert sum(axis.axison for axis in axes) == 4
    for axis, of, numbers in zip(axes, layers, chosen, strict=False):
        dots = of_kind(axis, PathCollection)
        for s, found in zip(numbers, dots, strict=True):
            np.testing.assert_allclose(found.get_offsets(), np.stack([of.x[s], of.y[s]], -1))
        assert len({tuple(found.get_facecolor()[0]) for found in dots}) == len(numbers)
        assert [text.get_text() for text in axis.get_legend().get_texts()] == [str(s) for s in numbers]
    outermost = max(np.abs([of.x[c], of.y[c]]).max() for of, c in zip(layers, chosen, strict=True))
    assert outermost < axes[0].get_xlim()[1] < outermost + 1


def test_histograms_count_every_free_synapse_where_it_is():
    layers = [layer(200, "a", 0.3), layer(30, "b", 1.5)]
    axes = position_histograms({layer.layer: [layer] for layer in layers}).axes
    for axis, of in zip(axes, layers, strict=False):
        (mesh,) = of_kind(axis, QuadMesh)
        counts = mesh.get_array().filled(0)
        assert counts.sum() == 8 * len(of.x)
        edges = mesh.get_coordinates()[0, :, 0]
        assert np.allclose(np.diff(edges), 0.1)
        columns, rows = (np.floor((values[of.free] - edges[0]) / 0.1).astype(int) for values in (of.x, of.y))
        expected = np.zeros(counts.shape)
        np.add.at(expected, (rows, columns), 1)
        np.testing.assert_array_equal(counts, expected)
        assert axis.get_ylim()[0] > axis.get_ylim()[1]
    norms = [of_kind(axis, QuadMesh)[0].norm for axis in axes[:2]]
    assert norms[0].vmax == norms[1].vmax  # one scale


def test_accuracies_with_their_deviations():
    ours = AccuracyLine([1, 2], [70.0, 71.5], [0.5, None], [70.2, 71.0])
    (axis,) = accuracy_lines({"ACU": ours}, "parameters", xticks={1: "few", 2: "many"}).axes
    (bars,) = axis.containers
    np.testing.assert_array_equal(bars[0].get_xydata(), [[1, 70], [2, 71.5]])
    np.testing.assert_array_equal(bars[2][0].get_segments()[0], [[1, 69.5], [1, 70.5]])
    assert [list(line.get_ydata()) for line in axis.lines if line.get_linestyle() == ":"] == [[70.2, 71.0]]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["few", "many"]


def test_networks_that_nothing_lies_between_are_not_joined():
    ours = AccuracyLine([0, 1], [70.0, 71.5], [None, None], [70.2, 71.0])
    for joined in (True, False):
        (axis,) = accuracy_lines({"ACU": ours}, "network", joined=joined).axes
        assert [line.get_linestyle() for line in axis.lines] == (["-", ":"] if joined else ["None", "None"])
        assert all(line.get_marker() == "o" for line in axis.lines)  # no bars where there is one run


def test_accuracies_that_cannot_be_compared_stand_alone():
    (axis,) = accuracy_lines({"ACU": AccuracyLine([1], [30.0], [None])}, "parameters").axes
    assert not [line for line in axis.lines if line.get_linestyle() == ":"]


def test_a_mosaic_of_filters():
    weight = np.random.default_rng(3).normal(size=(5, 1, 3, 2))
    weight[4] = 0
    picture = mosaic(DenseKernel(weight, (-1, 0), 5), (-2, -1), (4, 5))
    assert picture.shape == (2 * 5 - 1, 3 * 6 - 1)
    for i in range(5):
        row, column = divmod(i, 3)
        cell = picture[5 * row : 5 * row + 4, 6 * column : 6 * column + 5]
        expected = np.zeros((4, 5))
        expected[1:4, 1:3] = weight[i, 0] / (np.abs(weight[i]).max() or 1)
        np.testing.assert_allclose(cell, expected)
    assert np.isnan(picture[4]).all() and np.isnan(picture[:, 5]).all()
    assert np.isnan(picture[5:, 12:]).all()  # no sixth filter


def test_filters_are_drawn_over_the_same_pixels():
    random = np.random.default_rng(4)
    small = DenseKernel(random.normal(size=(4, 1, 3, 3)), (-1, -1), 4)
    large = DenseKernel(random.normal(size=(4, 1, 4, 6)), (-2, -3), 4)
    figure = filters({"conv": small, "ACU": large})
    axes = figure.axes
    *axes, scale = axes
    assert scale.get_xlabel() == "weight, in parts of the filter's greatest" and scale.get_xlim() == (-1, 1)
    for axis, kernel in zip(axes, (small, large), strict=True):
        picture = axis.images[0].get_array()
        np.testing.assert_allclose(np.ma.filled(picture, np.nan), mosaic(kernel, (-2, -3), (4, 6)))
    assert "within 4 x 6 pixels" in axes[1].get_title()


@pytest.mark.parametrize("count", [1, 300])
def test_few_and_many_sets(count):
    assert len(position_sets(layer(count), np.arange(count)).axes) == 1


def test_an_animation_has_everything_where_it_was():
    random = np.random.default_rng(5)
    x, y = random.uniform(-2, 2, (2, 4, 3, 9))
    x[..., 4] = y[..., 4] = 0
    iterations, free = np.array([0, 10, 20, 1000]), np.arange(9) != 4
    series = [LayerSeries("conv", "GroupedACU", iterations, x, y, np.full(3, 4), (3, 3), 15)]
    animation = shapes_over_time(series, sets=[np.array([2])])
    axis, course = animation.figure.axes
    for moment, text in enumerate(("0 (warm-up)", "10 (warm-up)", "20", "1,000")):
        animation.show(moment)
        starts, dots, fixed = (found.get_offsets() for found in of_kind(axis, PathCollection))
        np.testing.assert_allclose(starts, np.stack([x[0, 2], y[0, 2]], -1))
        np.testing.assert_allclose(dots, np.stack([x[moment, 2], y[moment, 2]], -1)[free])
        np.testing.assert_allclose(fixed, [[0, 0]])
        way = axis.lines[1].get_xydata()  # after the cross at the origin
        np.testing.assert_allclose(way, np.stack([x[: moment + 1, 2, 0], y[: moment + 1, 2, 0]], -1))
        assert f"iteration {text}" in [found.get_text() for found in animation.figure.texts]
        assert course.lines[0].get_xdata() == [iterations[moment]]


def test_a_long_title_is_broken_into_lines_that_fit():
    figure = shapes([layer(1)], "a title " * 30, size=COLUMN)
    lines = figure.get_suptitle().split("\n")
    assert len(lines) > 3 and "".join(lines).count("title") == 30
    assert all(text_width(line, 9) < 72 * COLUMN.width for line in lines)
    assert figure.get_size_inches()[1] > shapes([layer(1)], "a title", size=COLUMN).get_size_inches()[1]
