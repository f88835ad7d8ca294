"""Draws the figures of the papers from the runs of their tables."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from caffe_acu.errors import UserError
from caffe_acu.evenly import evenly
from caffe_acu.layer_kernels import read_kernel
from caffe_acu.plots.accuracy import accuracy_lines
from caffe_acu.plots.curves import training_curves
from caffe_acu.plots.filters import filters
from caffe_acu.plots.movement import movement
from caffe_acu.plots.position_sets import position_histograms, position_sets, sets_in_colours
from caffe_acu.plots.shapes import shapes
from caffe_acu.positions import LayerPositions, LayerSeries
from caffe_acu.reproduce.accuracy_lines import accuracy_figure
from caffe_acu.reproduce.curves import read_curves
from caffe_acu.reproduce.figures import PaperFigure
from caffe_acu.reproduce.records import RunRecord
from caffe_acu.reproduce.results import TableRuns, read_runs, table_results
from caffe_acu.reproduce.tables import find_table, model_of

_MOST_SETS = 256  # side by side, of a layer
_SETS_IN_COLOURS = 5  # as in the paper, which took them at random


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
        return f"{self.figure.title}\n{'; '.join(filter(None, (self.remark, shown)))}"

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
    curves = {
        "ACU" if model.endswith("_acu") else "base": read_curves(material.run(model).folder)
        for model in material.figure.models
    }
    drops = {drop for run in curves.values() for drop in run.rate_drops}
    return training_curves(curves, material.title, max(run.warmup_iter for run in curves.values()), sorted(drops))


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
    layers = material.learned(*material.figure.models)
    return position_histograms({layer.layer: [layer] for layer in layers}, material.title)


def _draw_accuracies(material: _Material, by: str) -> Figure:
    runs = replace(material.runs, by_model={model: material.of(model) for model in material.runs.by_model})
    drawn = accuracy_figure(table_results(runs), by)
    return accuracy_lines(drawn.lines, drawn.xlabel, material.title, drawn.xticks, joined=drawn.joined)


def _draw_filters(material: _Material) -> Figure:
    base, acu = (material.run(model) for model in material.figure.models)
    last = material.learned(material.figure.models[-1])[-1].layer
    kernels = {
        "3x3 convolution": read_kernel(_snapshot(base), last),
        "ACU, extrapolated": read_kernel(_snapshot(acu), last),
    }
    return filters(kernels, f"{material.title}\n{last}")


def _snapshot(run: RunRecord) -> Path:
    """Of the end of training."""
    return run.folder / "snapshots" / f"{run.folder.parent.name}_iter_{run.max_iter}.caffemodel"


_DRAWN: dict[tuple[str, int], Callable[[_Material], Figure]] = {
    ("cvpr2017", 4): _draw_curves,
    ("cvpr2017", 5): partial(_draw_shapes, columns=3),
    ("cvpr2017", 6): _draw_movement,
    ("cvpr2017", 8): _draw_curves,
    ("cvpr2017", 9): partial(_draw_shapes, columns=5),  # blocks of a width
    ("cvpr2017", 10): _draw_curves,
    ("cvpr2017", 12): partial(_draw_shapes, columns=5),  # the first row AlexNet's
    ("grouped", 4): partial(_draw_shapes, columns=3, frame=7),  # blocks of a stage
    ("grouped", 7): partial(_draw_accuracies, by="network"),
    ("grouped", 8): _draw_position_sets,
    ("grouped", 9): _draw_sets_in_colours,
    ("grouped", 10): _draw_histograms,
    ("grouped", 11): partial(_draw_accuracies, by="parameters"),
    ("grouped", 12): _draw_filters,
}
