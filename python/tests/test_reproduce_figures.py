"""Figures of the papers: which runs they need, and that they are drawn from these."""

import json

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.net_param import set_blob
from caffe_acu.position_log import load_npz, save_npz
from caffe_acu.positions import LayerSeries
from caffe_acu.reproduce import draw_figure
from caffe_acu.reproduce.figures import CHANNELS_PER_GROUP, find_figure, paper_figures
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.tables import find_table
from caffe_acu.reproduce.workflow import Machines, write_workflow
from reproduce_runs import COMMAND, call
from run_folders import write_run, write_table

START_Y, START_X = np.mgrid[-1.0:2, -1:2].reshape(2, 9)

# As the captions have it: networks, and runs of each.
NEEDED = {
    ("cvpr2017", 4): (["plain", "plain_acu"], 1),
    ("cvpr2017", 5): (["plain_acu"], 1),
    ("cvpr2017", 6): (["plain_acu"], 1),
    ("cvpr2017", 8): (["bottleneck_residual47", "bottleneck_residual47_acu"], 1),
    ("cvpr2017", 9): (["bottleneck_residual47_acu"], 1),
    ("cvpr2017", 10): (["alexnet", "alexnet_acu"], 1),
    ("cvpr2017", 12): (["alexnet_acu", "resnet26_acu"], 1),
    ("grouped", 4): (["resnet29_acu"], 1),
    ("grouped", 7): (
        [f"resnet29_{cut}{what}" for cut in ("16x4d", "x4d", "x2d", "x1d") for what in ("", "_5x5", "_acu")],
        5,
    ),
    ("grouped", 8): (["resnet29_x1d_acu"], 1),
    ("grouped", 9): (["inception_acu"], 1),
    ("grouped", 10): (["xception_acu"], 1),
    ("grouped", 11): (
        [f"mobilenet_v2_x{width}{acu}" for width in ("0.8", "1.0", "1.2", "1.4") for acu in ("", "_acu")],
        3,
    ),
    ("grouped", 12): (["resnet29_x1d", "resnet29_x1d_acu"], 1),
}


def write_positions(folder, sets: dict[str, int], seed: int = 0) -> list[LayerSeries]:
    """positions.npz of 3x3 layers of these names, at three moments."""
    random = np.random.default_rng(seed)
    series = []
    for name, count in sets.items():
        moved = np.array([0, 0.5, 1])[:, None, None] * random.uniform(-0.9, 0.9, (2, 1, count, 9))
        moved[..., 4] = 0
        kernel, fixed = (3, 3), np.full(count, 4)
        x, y = START_X + moved[0], START_Y + moved[1]
        series.append(LayerSeries(name, "GroupedACU", np.array([0, 50, 100]), x, y, fixed, kernel, 10))
    save_npz(series, folder / "positions.npz")
    return series


def write_weights(folder, network: str, layer: str, weight: np.ndarray, max_iter: int = 64_000) -> None:
    """Of a depthwise layer, which is active if the folder has positions.npz, with those of its last moment."""
    net = caffe_pb2.NetParameter()
    described = net.layer.add(name=layer, type="Convolution")
    described.convolution_param.group = len(weight)
    set_blob(described.blobs.add(), weight)
    if (folder / "positions.npz").is_file():
        described.type = "GroupedACU"
        described.convolution_param.kernel_size.append(weight.shape[-1])
        (last,) = load_npz(folder / "positions.npz")
        for values in (np.zeros(1), last.x[-1], last.y[-1]):
            set_blob(described.blobs.add(), values)
    (folder / "snapshots" / f"{network}_iter_{max_iter}.caffemodel").write_bytes(net.SerializeToString())


def draw(paper: str, number: int, results, *options):
    return draw_figure.draw_figure(find_figure(paper, number), results, *options)


def heights(line) -> np.ndarray:
    return line.get_xydata()[:, 1]


def dots(axis) -> np.ndarray:
    return np.concatenate([c.get_offsets() for c in axis.collections if isinstance(c, PathCollection)])


def test_every_figure_can_be_drawn():
    assert {(figure.paper, figure.number) for figure in paper_figures()} == set(NEEDED) == set(draw_figure._DRAWN)


@pytest.mark.parametrize("name", NEEDED, ids=str)
def test_a_figure_needs_networks_of_its_table(name):
    networks, runs = NEEDED[name]
    planned = plan(name[0], f"figure{name[1]}")
    assert {(training.model.folder, training.seed) for training in planned.trainings} == {
        (f"{name[0]}/{network}", seed) for network in networks for seed in range(1, runs + 1)
    }
    table = find_table(name[0], find_figure(*name).table)
    assert {training.model.folder for training in planned.trainings} <= {model.folder for model in table.models}


def test_a_figure_with_more_seeds():
    assert [training.seed for training in plan("cvpr2017", "figure5", 3).trainings] == [1, 2, 3]


@pytest.mark.parametrize(("scale", "results"), [(1, "."), (640, "..")])
def test_the_graph_of_runs_ends_with_the_figure(tmp_path, scale, results):
    (tmp_path / "cvpr2017").mkdir()
    planned = plan("cvpr2017", "figure4")
    path = write_workflow(tmp_path, planned, scale, planned.trainings, Machines(1))
    assert path.name == ".figure4.workflow.json"
    assert json.loads(path.read_text())["table"] == [
        "figure", "cvpr2017", "4", "--results", results, "--scale", str(scale)
    ]  # fmt: skip


def test_reproduce_draws_what_has_run(tmp_path):
    """Without a data set, which finished runs do not need."""
    write_positions(write_run(tmp_path, "cvpr2017/plain_acu", 1, 70.0, scale=64), {"a": 1})
    line = [*COMMAND, "reproduce", "cvpr2017", "figure5", "--cores", "1", "--scale", "64", "--results", str(tmp_path)]
    called = call(line, cwd=tmp_path)
    assert called.returncode == 0, called.stdout + called.stderr
    assert called.stdout.startswith("CVPR 2017, Figure 5: learned positions") and "1 of 1 runs done" in called.stdout
    assert (tmp_path / "scaled-64/cvpr2017/figure5.svg").is_file()


def test_curves_of_base_and_acu(tmp_path):
    for network, error in (("plain", 8.0), ("plain_acu", 7.0)):
        folder = write_run(tmp_path, f"cvpr2017/{network}", 1, error, warmup_iter=20 if "acu" in network else 0)
        write_table(folder, [(0, 2.5, "", 90.0), (50, error, "", ""), (100, 1.5, "", error)])
    losses, errors = draw("cvpr2017", 4, tmp_path).axes
    assert [line.get_label() for line in errors.lines] == ["base: test error", "ACU: test error"]
    for line, error in zip(errors.lines, (8, 7), strict=True):
        np.testing.assert_array_equal(line.get_xydata(), [[0, 90], [100, error]])
    np.testing.assert_array_equal(losses.lines[2].get_xydata(), [[0, 2.5], [50, 7], [100, 1.5]])
    assert list(losses.lines[-1].get_xdata()) == [20, 20]
    title = losses.get_figure().get_suptitle()
    assert title == "CVPR 2017, Figure 4: training curves of the plain network, CIFAR-10\nseed 1"


def test_shapes_of_the_seed_that_is_asked_for_with_the_remark(tmp_path):
    for seed in (1, 2):
        folder = write_run(
            tmp_path, "cvpr2017/plain_acu", seed, 50.0, scale=640, differs="few images" if seed == 2 else ""
        )
        series = write_positions(folder, {"conv1_1": 1, "conv1_2": 1}, seed)
    figure = draw("cvpr2017", 5, tmp_path, 640, 2)
    for axis, layer in zip(figure.axes, series, strict=True):
        expected = np.stack([layer.x[-1, 0], layer.y[-1, 0]], -1)
        # The free ones, and the fixed one after them.
        assert np.abs(dots(axis)[-9:] - np.append(np.delete(expected, 4, 0), expected[4:5], 0)).max() < 1e-12
    remark = "few images, scaled 1/640, not comparable; seed 2"
    assert figure.get_suptitle().splitlines()[1] == remark


def test_a_long_remark_stays_inside_the_figure(tmp_path):
    differs = "1,000 of 50,000 images to train, 500 of 10,000 images to test, data from image files"
    for network in ("plain", "plain_acu"):
        folder = write_run(tmp_path, f"cvpr2017/{network}", 1, 50.0, scale=6400, differs=differs)
        write_table(folder, [(0, 2.5, "", 90.0), (10, 1.5, "", 50.0)])
    figure = draw("cvpr2017", 4, tmp_path, 6400)
    figure.canvas.draw()
    title = next(text for text in figure.texts if text.get_text() == figure.get_suptitle())
    assert f"{differs}, scaled 1/6400, not comparable; seed 1" in " ".join(title.get_text().split())
    extent = title.get_window_extent()
    assert figure.bbox.x0 <= extent.x0 < extent.x1 <= figure.bbox.x1


def test_movement_of_the_first_and_the_last_layer(tmp_path):
    folder = write_run(tmp_path, "cvpr2017/plain_acu", 1, 7.0)
    series = write_positions(folder, {"a": 1, "b": 1, "c": 1})
    axes = draw("cvpr2017", 6, tmp_path).axes
    for axis, values in zip(axes, (series[0].x, series[0].y, series[2].x, series[2].y), strict=True):
        for k in range(9):
            np.testing.assert_allclose(axis.lines[k].get_xydata(), np.stack([[0, 50, 100], values[:, 0, k]], -1))


def test_shapes_of_two_networks_bear_their_names(tmp_path):
    for network, layers in (("alexnet_acu", {"conv3": 1, "conv4": 2}), ("resnet26_acu", {"stage1": 1})):
        write_positions(write_run(tmp_path, f"cvpr2017/{network}", 1, 50.0, max_iter=_full(network)), layers)
    titles = [axis.get_title().splitlines()[0] for axis in draw("cvpr2017", 12, tmp_path).axes]
    assert titles == ["AlexNet, conv3", "AlexNet, conv4, set 0 of 2", "AlexNet, conv4, set 1 of 2", "ResNet26, stage1"]


def _full(network: str) -> int:
    return next(
        model.schedule.settings["max_iter"]
        for model in find_table("cvpr2017", "table4").models
        if model.name == network
    )


def test_the_sets_of_the_last_layer(tmp_path):
    folder = write_run(tmp_path, "grouped/resnet29_x1d_acu", 1, 5.0)
    _, last = write_positions(folder, {"first": 2, "last": 4})
    (axis,) = draw("grouped", 8, tmp_path).axes
    assert "last, 4 sets" in axis.get_figure().get_suptitle()
    found = dots(axis)
    np.testing.assert_allclose(found[4:13], np.stack([last.x[-1, 0], last.y[-1, 0]], -1))
    assert len(found) == 4 + 4 * 9


def test_accuracies_of_all_runs(tmp_path):
    errors = {}
    for i, network in enumerate(NEEDED["grouped", 7][0]):
        errors[network] = (5 + i / 10, 5.4 + i / 10)
        for seed, error in enumerate(errors[network], 1):
            write_run(tmp_path, f"grouped/{network}", seed, error)
    (axis,) = draw("grouped", 7, tmp_path).axes
    for container, what in zip(axis.containers, ("", "_5x5", "_acu"), strict=True):
        expected = [100 - np.mean(errors[f"resnet29_{cut}{what}"]) for cut in CHANNELS_PER_GROUP]
        np.testing.assert_allclose(heights(container[0]), expected)
        low, high = container[2][0].get_segments()[0][:, 1]
        assert high - low == pytest.approx(2 * 0.4 / np.sqrt(2))
    (printed,) = [line for line in axis.lines if line.get_label() == "3x3 ACU, paper"]
    np.testing.assert_allclose(printed.get_ydata(), [95.07, 95.13, 95.17, 95.1])
    (axis,) = draw("grouped", 7, tmp_path, 1, 2).axes
    assert heights(axis.containers[0][0])[0] == pytest.approx(94.6)
    assert axis.get_figure().get_suptitle().endswith("seed 2")


def test_scaled_accuracies_do_not_stand_beside_the_papers(tmp_path):
    for network in NEEDED["grouped", 7][0]:
        write_run(tmp_path, f"grouped/{network}", 1, 60.0, scale=64)
    (axis,) = draw("grouped", 7, tmp_path, 64).axes
    assert len(axis.containers) == 3
    assert not [line for line in axis.lines if line.get_label().endswith("paper")]
    assert "scaled 1/64, not comparable" in axis.get_figure().get_suptitle()


def test_accuracies_by_parameters(tmp_path):
    full = find_table("grouped", "table8").models[0].schedule.settings["max_iter"]
    for i, network in enumerate(NEEDED["grouped", 11][0]):
        write_run(tmp_path, f"grouped/{network}", 1, 30.0 - i, max_iter=full)
    base, acu = (container[0] for container in draw("grouped", 11, tmp_path).axes[0].containers)
    np.testing.assert_allclose(heights(base), [70, 72, 74, 76])
    np.testing.assert_allclose(heights(acu), [71, 73, 75, 77])
    assert np.round(base.get_xydata()[:, 0], 1).tolist() == [2.5, 3.5, 4.7, 6.1]  # as Table 8 has them


def test_filters_of_convolution_and_acu(tmp_path):
    random, weights = np.random.default_rng(2), {}
    for network in ("resnet29_x1d", "resnet29_x1d_acu"):
        folder = write_run(tmp_path, f"grouped/{network}", 1, 5.0)
        weights[network] = random.normal(size=(4, 1, 3, 3)).astype(np.float32)
        if network.endswith("acu"):
            (last,) = write_positions(folder, {"last": 4})
        write_weights(folder, network, "last", weights[network])
    x, y = last.x[-1], last.y[-1]
    left, top = int(np.floor(x).min()), int(np.floor(y).min())
    size = (int(np.ceil(y).max()) - top + 1, int(np.ceil(x).max()) - left + 1)
    axes = draw("grouped", 12, tmp_path).axes
    for axis, network in zip(axes[:2], weights, strict=True):
        picture = axis.images[0].get_array()
        assert picture.shape == (2 * size[0] + 1, 2 * size[1] + 1)  # of filters, two by two
        for s in range(4):
            expected = np.zeros(size)
            at_x, at_y = (x[s], y[s]) if network.endswith("acu") else (START_X, START_Y)
            for row, column in np.ndindex(size):
                near_x, near_y = (
                    np.maximum(0, 1 - abs(at - o)) for at, o in ((at_x, column + left), (at_y, row + top))
                )
                expected[row, column] = np.sum(weights[network][s].ravel() * near_x * near_y)
            above, before = s // 2 * (size[0] + 1), s % 2 * (size[1] + 1)
            found = picture[above : above + size[0], before : before + size[1]]
            np.testing.assert_allclose(found, expected / np.abs(expected).max(), atol=1e-6)


def test_runs_that_are_missing(tmp_path):
    write_run(tmp_path, "cvpr2017/plain", 1, 8.0, scale=64)
    write_run(tmp_path, "cvpr2017/plain_acu", 1, scale=64)  # in progress
    with pytest.raises(UserError) as error:
        draw("cvpr2017", 4, tmp_path, 64, 1)
    assert str(error.value) == (
        "CVPR 2017, Figure 4: training curves of the plain network, CIFAR-10: no finished run of plain_acu, seed 1 in "
        f"{tmp_path}/scaled-64; run: caffe-acu reproduce cvpr2017 figure4 --scale 64 --results {tmp_path}"
    )
    with pytest.raises(UserError, match="run of plain, plain_acu, seed 3 .* figure4 --scale 64 --seeds 3 --results"):
        draw("cvpr2017", 4, tmp_path, 64, 3)
    with pytest.raises(UserError, match="finished run of resnet29_16x4d, .*, resnet29_x1d_acu in .* figure7 --results"):
        draw("grouped", 7, tmp_path)


def test_a_run_that_is_left_out_is_told_of(tmp_path):
    folder = write_run(tmp_path, "cvpr2017/plain_acu", 1, 8.0)
    (folder / "run.json").write_text("{")
    with pytest.raises(UserError, match=r"plain_acu/seed1/run\.json: damaged.*; run: caffe-acu reproduce"):
        draw("cvpr2017", 5, tmp_path)


def test_runs_without_what_is_drawn(tmp_path):
    folder = write_run(tmp_path, "cvpr2017/plain_acu", 1, 8.0)
    with pytest.raises(UserError, match=r"plain_acu/seed1: no positions in it"):
        draw("cvpr2017", 5, tmp_path)
    (series,) = write_positions(folder, {"a": 1})
    series.x[-1, 0, 0] = np.nan
    save_npz([series], folder / "positions.npz")
    with pytest.raises(UserError, match="not finite: the training diverged"):
        draw("cvpr2017", 5, tmp_path)
    (folder / "train.log").unlink()
    write_run(tmp_path, "cvpr2017/plain", 1, 8.0)
    with pytest.raises(UserError, match=r"plain_acu/seed1: no curves in it"):
        draw("cvpr2017", 4, tmp_path)


def test_weights_of_another_network(tmp_path):
    for network in ("resnet29_x1d", "resnet29_x1d_acu"):
        folder = write_run(tmp_path, f"grouped/{network}", 1, 5.0)
        write_weights(folder, network, "other", np.ones((4, 1, 3, 3)))
    write_positions(folder, {"last": 4})
    with pytest.raises(UserError, match="iter_64000.caffemodel: no convolution 'last' with weights; there are other"):
        draw("grouped", 12, tmp_path)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grouped", "5"], "grouped: no Figure 5 comes from training; there are 4, 7, 8, 9, 10, 11, 12"),
        (["poster", "1"], "poster: no such paper; there are cvpr2017, grouped"),
        (["grouped", "4", "--scale", "0"], "--scale 0: 1 or more was expected"),
        (["grouped", "figure4", "--seed", "-1"], "--seed -1: 1 or more was expected"),
    ],
)
def test_wrong_words(capsys, words, message):
    assert main(["figure", *words]) == 2
    assert capsys.readouterr().err == f"caffe-acu figure: {message}\n"


def test_what_is_no_number_of_a_figure_is_told_in_words(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["figure", "cvpr2017", "four"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.endswith("argument N: 'four' is no number of a figure, such as 5\n")


def test_the_command_writes_beside_the_tables_or_where_it_is_told(tmp_path, capsys):
    folder = write_run(tmp_path, "cvpr2017/plain_acu", 1, 70.0, scale=64)
    write_positions(folder, {"a": 1})
    line = ["figure", "cvpr2017", "5", "--results", str(tmp_path), "--scale", "64"]
    assert main(line) == 0
    made = tmp_path / "scaled-64/cvpr2017/figure5.svg"
    assert capsys.readouterr().out == f"{made}\n"
    assert "scaled 1/64, not comparable" in made.read_text()  # as a comment at each text
    assert main([*line, "-o", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert main([*line, "-o", str(tmp_path / "a.gif")]) == 2
    assert not (tmp_path / "a.gif").exists()
