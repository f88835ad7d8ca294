"""Draws the figures of the papers from the runs of their tables."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from caffe_acu.errors import UserError
from caffe_acu.kernels import as_active, extrapolate
from caffe_acu.net_param import blob_array, read_net
from caffe_acu.plots.accuracy import AccuracyLine, accuracy_lines
from caffe_acu.plots.curves import training_curves
from caffe_acu.plots.filters import filters
from caffe_acu.plots.movement import movement
from caffe_acu.plots.position_sets import position_histograms, position_sets, sets_in_colours
from caffe_acu.plots.shapes import shapes
from caffe_acu.positions import LayerPositions, LayerSeries
from caffe_acu.reproduce.figures import CHANNELS_PER_GROUP, PaperFigure
from caffe_acu.reproduce.records import RunRecord
from caffe_acu.reproduce.report_data import evenly
from caffe_acu.reproduce.results import TableRuns, read_runs
from caffe_acu.reproduce.statistics import Sample
from caffe_acu.reproduce.tables import Row, find_table, model_of

_TITLE_LETTERS = 75  # in a line; the narrowest figure has 6 inches
_MOST_SETS = 256  # side by side, of a layer
_SETS_IN_COLOURS = 5  # as in the paper, which took them at random


@dataclass(frozen=True)
class _Curves:
    """Of a run, as plots.curves wants them."""

    iterations: np.ndarray
    loss: np.ndarray
    test_iterations: np.ndarray
    test_error: np.ndarray


@dataclass(frozen=True)
class _Material:
    """A figure, and the runs from which it is drawn: those that are done.

    ``seed``: of the run of each network that is shown; None: the means of all, where the figure is of results.
    """

    figure: PaperFigure
    runs: TableRuns
    seed: int | None

    @property
    def title(self) -> str:
        shown = "mean and standard deviation of all runs" if self.seed is None else f"seed {self.seed}"
        lines = (self.figure.title, "; ".join(filter(None, (self.remark, shown))))
        return "\n".join(textwrap.fill(line, _TITLE_LETTERS) for line in lines)

    @property
    def remark(self) -> str:
        """Why it is not comparable with the paper's figure; "" if it is."""
        return self.runs.remark(run for model in self.figure.models for run in self.of(model))

    def of(self, model: str) -> list[RunRecord]:
        return [run for run in self.runs.by_model[model] if run.done and self.seed in (None, run.seed)]

    def run(self, model: str) -> RunRecord:
        (run,) = self.of(model)
        return run

    def series(self, model: str) -> list[LayerSeries]:
        """UserError if there are none, or the training diverged."""
        run = self.run(model)
        series = run.positions()
        if not series:
            raise UserError(f"{run.folder}: no positions in it, neither logged nor in snapshots: train it anew")
        if not all(np.all(np.isfinite(values)) for layer in series for values in (layer.x, layer.y)):
            raise UserError(f"{run.folder}: positions that are not finite: the training diverged; take another seed")
        return series

    def learned(self, model: str) -> list[LayerPositions]:
        return [layer.last for layer in self.series(model)]


def draw_figure(figure: PaperFigure, results: Path, scale: int = 1, seed: int | None = None) -> Figure:
    """A figure of the runs below ``results``; UserError, with the command that trains them, if some are not done.

    ``seed``: of the run of each network that is shown (the first); a figure of accuracies has the means of all.
    """
    if seed is None and not figure.of_results:
        seed = 1
    material = _Material(figure, read_runs(find_table(figure.paper, figure.table), results, scale), seed)
    _check_done(material, results)
    return _DRAWN[figure.paper, figure.number](material)


def _check_done(material: _Material, results: Path) -> None:
    figure, seed, scale = material.figure, material.seed, material.runs.scale
    absent = [model for model in figure.models if not material.of(model)]
    if not absent:
        return
    command = f"caffe-acu reproduce {figure.paper} {figure.id}"
    command += f" --scale {scale}" if scale > 1 else ""
    command += f" --seeds {seed}" if seed and seed > 1 else ""
    command += f" --results {results}" if results != Path("results") else ""
    names = ", ".join(model.partition("/")[2] for model in absent)
    left_out = [note for model in absent for note in material.runs.notes if f"/{model.partition('/')[2]}/" in note]
    which = "" if seed is None else f", seed {seed}"
    raise UserError(
        "; ".join([f"{figure.title}: no finished run of {names}{which} in {material.runs.folder}", *left_out])
        + f"; run: {command}"
    )


def _draw_curves(material: _Material) -> Figure:
    curves, warmups, drops = {}, [], set()
    for model in material.figure.models:
        run = material.run(model)
        metrics = run.metrics()
        tested = np.isfinite(metrics.test_error)
        if not len(metrics.train_loss):
            raise UserError(f"{run.folder}: no curves in it, neither metrics.csv nor train.log: train it anew")
        name = "ACU" if model.endswith("_acu") else "base"
        curves[name] = _Curves(
            metrics.train_iteration, metrics.train_loss, metrics.test_iteration[tested], metrics.test_error[tested]
        )
        warmups.append(run.warmup_iter)
        drops |= {iteration for iteration, _ in metrics.rate_drops}
    return training_curves(curves, material.title, max(warmups), sorted(drops))


def _draw_shapes(material: _Material, columns: int, frame: int | None = None) -> Figure:
    """Of one network, or of several, whose names then stand with the layers'."""
    layers = []
    for model in material.figure.models:
        learned = material.learned(model)
        if len(material.figure.models) > 1:
            name = model_of(model).title.partition(" with ")[0]
            learned = [replace(layer, layer=f"{name}, {layer.layer}") for layer in learned]
        layers += learned
    return shapes(layers, material.title, columns, frame)


def _draw_movement(material: _Material) -> Figure:
    series = material.series(*material.figure.models)
    return movement([series[0], series[-1]], material.title)


def _draw_position_sets(material: _Material) -> Figure:
    last = material.learned(*material.figure.models)[-1]
    chosen = evenly(len(last.x), _MOST_SETS)
    shown = "" if len(chosen) == len(last.x) else f"{len(chosen)} of "
    return position_sets(last, chosen, f"{material.title}\n{last.layer}, {shown}{len(last.x)} sets")


def _draw_sets_in_colours(material: _Material) -> Figure:
    layers = material.learned(*material.figure.models)
    return sets_in_colours(layers, [evenly(len(layer.x), _SETS_IN_COLOURS) for layer in layers], material.title)


def _draw_histograms(material: _Material) -> Figure:
    return position_histograms(material.learned(*material.figure.models), material.title)


def _draw_cardinality(material: _Material) -> Figure:
    """The rows of a table named "grouping, kind"."""
    lines = {}
    for kind, name in (("Conv3x3", "3x3 convolution"), ("Conv5x5", "5x5 convolution"), ("ACU", "3x3 ACU")):
        rows = [_row(material, f"{grouping}, {kind}") for grouping in CHANNELS_PER_GROUP]
        lines[name] = _line(material, rows, list(range(len(rows))))
    ticks = {i: f"{channels}\n{name}" for i, (name, channels) in enumerate(CHANNELS_PER_GROUP.items())}
    return accuracy_lines(lines, "input channels of a group", material.title, ticks)


def _draw_parameters(material: _Material) -> Figure:
    lines = {}
    for kind in ("depthwise conv", "depthwise ACU"):
        rows = [row for row in material.runs.table.rows if row.name.endswith(kind) and row.top == 1]
        lines[kind.replace("conv", "convolution")] = _line(
            material, rows, [row.model.count.parameters / 1e6 for row in rows]
        )
    return accuracy_lines(lines, "parameters (millions)", material.title)


def _row(material: _Material, name: str) -> Row:
    return next(row for row in material.runs.table.rows if row.name == name)


def _line(material: _Material, rows: Sequence[Row], x: Sequence[float]) -> AccuracyLine:
    samples = [_sample(material, row) for row in rows]
    printed = [_accuracy(row, row.printed.value) for row in rows]
    return AccuracyLine(
        x,
        mean=[sample.mean for sample in samples],
        std=[sample.std for sample in samples],
        printed=None if material.remark else printed,
    )


def _sample(material: _Material, row: Row) -> Sample:
    return Sample(tuple(100 - run.test_error(row.top, row.crops) for run in material.of(row.printed.model)))


def _accuracy(row: Row, printed: float) -> float:
    return printed if row.is_accuracy else 100 - printed


def _draw_filters(material: _Material) -> Figure:
    base, acu = material.figure.models
    positions = material.learned(acu)[-1]
    kernel = as_active(_weight(material.run(base), positions.layer))
    active = _weight(material.run(acu), positions.layer)
    dense = {
        "3x3 convolution": extrapolate(kernel.weight, kernel.x, kernel.y, len(kernel.weight)),
        "ACU, extrapolated": extrapolate(active, positions.x, positions.y, len(active)),
    }
    return filters(dense, f"{material.title}\n{positions.layer}")


def _weight(run: RunRecord, layer: str) -> np.ndarray:
    """Of a depthwise layer at the end of training, (C, 1, kh, kw)."""
    path = run.folder / "snapshots" / f"{run.folder.parent.name}_iter_{run.max_iter}.caffemodel"
    found = [one for one in read_net(path).layer if one.name == layer and one.blobs]
    if not found:
        raise UserError(f"{path}: no layer {layer!r} with weights in it")
    return blob_array(found[0].blobs[0]).astype(np.float64)


_DRAWN: dict[tuple[str, int], Callable[[_Material], Figure]] = {
    ("cvpr2017", 4): _draw_curves,
    ("cvpr2017", 5): partial(_draw_shapes, columns=3),
    ("cvpr2017", 6): _draw_movement,
    ("cvpr2017", 8): _draw_curves,
    ("cvpr2017", 9): partial(_draw_shapes, columns=5),  # blocks of a width
    ("cvpr2017", 10): _draw_curves,
    ("cvpr2017", 12): partial(_draw_shapes, columns=5),  # the first row AlexNet's
    ("grouped", 4): partial(_draw_shapes, columns=3, frame=7),  # blocks of a stage
    ("grouped", 7): _draw_cardinality,
    ("grouped", 8): _draw_position_sets,
    ("grouped", 9): _draw_sets_in_colours,
    ("grouped", 10): _draw_histograms,
    ("grouped", 11): _draw_parameters,
    ("grouped", 12): _draw_filters,
}
