"""What the page of a table shows, as data for JSON: the table, curves, shapes over time, settings."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.evenly import evenly
from caffe_acu.experiments.environment import without_folders
from caffe_acu.net_param import read_solver
from caffe_acu.positions import LayerSeries
from caffe_acu.reproduce.records import RunRecord
from caffe_acu.reproduce.report.compact import MOST_MOMENTS
from caffe_acu.reproduce.results import TableRuns
from caffe_acu.reproduce.tables import Row

MOST_SETS = 32  # of a layer
_DECIMALS = 3  # of a position: a thousandth of a pixel
_SETTINGS = ("type", "base_lr", "lr_policy", "gamma", "stepvalue", "power", "momentum", "weight_decay")


def report_data(
    runs: TableRuns, results: Mapping[str, Any], columns: list[str], rows: list[list[str]]
) -> dict[str, Any]:
    """Of the runs and the ``results`` of the table; ``columns`` and ``rows``: its cells.

    A network that stands in several rows is shown with the first. Shapes are those of its first run, by seed. What
    cannot be read is left out, and a line about it added to the notes. Numbers that are not finite become None.
    """
    notes = list(results["notes"])
    curves, shapes, settings = [], [], []
    for row in _rows_by_network(runs):
        named = {"row": runs.table.label(row), "model": row.printed.model}
        of_row = runs.by_model[row.printed.model]
        settings.append({"row": named["row"], "text": _settings(of_row, notes)})
        for run in of_row:
            try:
                curves.append({**named, "kind": row.kind, "seed": run.seed, **_curves(run)})
            except UserError as error:
                notes.append(str(error))
        if of_row and row.kind == "acu":
            try:
                shapes += [{**named, "seed": of_row[0].seed, **shape} for shape in _shapes(of_row[0])]
            except UserError as error:
                notes.append(str(error))
    return {
        "title": results["title"],
        "remark": results["remark"],
        "notes": list(dict.fromkeys(map(runs.publishable, notes))),
        "command": results["command"],
        "table": {"columns": columns, "rows": rows},
        "curves": curves,
        "shapes": shapes,
        "settings": settings,
        "environments": results["environments"],
        "comparisons": results["comparisons"],
    }


def _rows_by_network(runs: TableRuns) -> Iterable[Row]:
    first: dict[str, Row] = {}
    for row in runs.table.rows:
        first.setdefault(row.printed.model, row)
    return first.values()


def _curves(run: RunRecord) -> dict[str, Any]:
    metrics = run.metrics()
    tested = np.isfinite(metrics.test_error)
    return {
        "warmup_iter": run.warmup_iter,
        "rate_drops": metrics.rate_drops,
        "train": _curve("loss", metrics.train_iteration, metrics.train_loss),
        "test": _curve("error", metrics.test_iteration[tested], metrics.test_error[tested]),
    }


def _curve(name: str, iterations: np.ndarray, values: np.ndarray) -> dict[str, list[Any]]:
    finite = [value if math.isfinite(value) else None for value in values.tolist()]
    return {"iteration": iterations.tolist(), name: finite}


def _shapes(run: RunRecord) -> list[dict[str, Any]]:
    return [_shape(layer) for layer in run.positions()]


def _shape(layer: LayerSeries) -> dict[str, Any]:
    moments = evenly(len(layer.iterations), MOST_MOMENTS)
    sets = evenly(layer.x.shape[1], MOST_SETS)
    return {
        "layer": layer.layer,
        "kernel": list(layer.kernel_size),
        "sets": layer.x.shape[1],
        "set_numbers": sets.tolist(),
        "records": len(layer.iterations),
        "iterations": layer.iterations[moments].tolist(),
        "x": _rounded(layer.x[moments][:, sets]),
        "y": _rounded(layer.y[moments][:, sets]),
        "fixed": layer.fixed[sets].tolist(),
    }


def _rounded(positions: np.ndarray) -> list[Any]:
    if not np.all(np.isfinite(positions)):
        raise UserError("positions that are not finite: the training diverged; no shapes of it are shown")
    return np.round(positions, _DECIMALS).tolist()


def _settings(runs: list[RunRecord], notes: list[str]) -> str:
    """Of the runs of a network, in a line for each different setting."""
    lines: dict[str, list[int]] = {}
    for run in runs:
        try:
            lines.setdefault(_settings_of(run), []).append(run.seed)
        except UserError as error:
            notes.append(str(error))
    if not lines:
        return "not run"
    return "; ".join(f"{line}; seed {', '.join(map(str, seeds))}" for line, seeds in lines.items())


def _settings_of(run: RunRecord) -> str:
    solver = read_solver(run.folder / "solver.prototxt")
    parts = [f"{run.max_iter:,} iterations"]
    if run.warmup_iter:
        parts.append(f"positions fixed for the first {run.warmup_iter:,}")
    for field, value in solver.ListFields():
        if field.name in _SETTINGS:
            values = value if field.is_repeated else [value]
            parts.append(f"{field.name} {' '.join(_short(one) for one in values)}")
    parts.append(f"data {without_folders(run.data)}")
    if run.limit is not None:
        parts.append(f"limit {run.limit}")
    if run.gpus_per_run > 1:
        parts.append(f"batches divided among {run.gpus_per_run} GPUs")
    return ", ".join(parts)


def _short(value: Any) -> str:
    return f"{value:.7g}" if isinstance(value, float) else str(value)
