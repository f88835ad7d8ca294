"""Curves and positions, made small enough to travel inside a page.

Positions are written as differences from one moment to the next, in steps of 1/1,000 pixel: whole numbers, of which
most are short, and which add up without error.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

_MAX_POINTS = 1000  # of a training curve; more than a screen shows
MOST_MOMENTS, _MIN_MOMENTS = 201, 26  # of a layer's movement
_MAX_POSITIONS = 2_000_000  # of all layers and moments of a page: about 10 MB
STEPS_PER_PIXEL = 1_000


def compact_curves(curves: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The curves with training losses averaged over equal spans of iterations if there are more than 1,000 of them.

    A span is of the same length for all curves, so seeds stay comparable. "averaged" is the number of iterations of
    one, 0 if nothing was averaged. Values that are not known, or not finite, are None.
    """
    span = _span([curve["train"]["iteration"] for curve in curves])
    return [
        {
            "row": curve["row"],
            "model": curve["model"],
            "kind": curve["kind"],
            "seed": curve["seed"],
            "warmup": curve["warmup_iter"] or 0,
            "drops": [[iteration, float(f"{rate:.6g}")] for iteration, rate in curve.get("rate_drops", ())],
            "averaged": span,
            "train": _averaged(*_arrays(curve["train"], "loss"), span),
            "test": _listed(*_arrays(curve["test"], "error")),
        }
        for curve in curves
    ]


def compact_shapes(shapes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The layers grouped by run, with at most 201 moments each, fewer where all together would be too many."""
    positions = sum(np.size(shape["x"]) / len(shape["iterations"]) for shape in shapes)
    moments = int(np.clip(_MAX_POSITIONS // max(positions, 1), _MIN_MOMENTS, MOST_MOMENTS))
    runs: dict[tuple, dict[str, Any]] = {}
    for shape in shapes:
        name = (shape["row"], shape["model"], shape["seed"])
        run = runs.setdefault(name, {**dict(zip(("row", "model", "seed"), name, strict=True)), "layers": []})
        run["layers"].append(_layer(shape, moments))
    return list(runs.values())


def _layer(shape: Mapping[str, Any], moments: int) -> dict[str, Any]:
    known = len(shape["iterations"])
    kept = np.unique(np.linspace(0, known - 1, min(moments, known)).round().astype(int))
    shown = len(shape["fixed"])
    total = shape.get("sets", shown)
    # Which ones were sampled is known only if it is said.
    numbers = shape.get("set_numbers", list(range(shown)) if total == shown else None)
    return {
        "layer": shape["layer"],
        "kernel": list(shape["kernel"]),
        "sets": total,
        "numbers": numbers,
        "fixed": [int(index) for index in shape["fixed"]],
        "records": shape.get("records", known),
        "iterations": [int(shape["iterations"][index]) for index in kept],
        "x": _differences(np.array(shape["x"], dtype=np.float64)[kept]),
        "y": _differences(np.array(shape["y"], dtype=np.float64)[kept]),
    }


def _differences(values: np.ndarray) -> list[list[list[int | None]]]:
    """(T, sets, K) as the first values and then the steps; None where a position is not finite, which is no step."""
    known = np.isfinite(values)
    whole = np.where(known, values * STEPS_PER_PIXEL, 0).round().astype(np.int64)
    before = np.zeros_like(whole[0])
    steps = []
    for now, is_known in zip(whole, known, strict=True):
        step = np.where(is_known, now - before, 0)
        before = before + step
        steps.append(np.where(is_known, step.astype(object), None).tolist())
    return steps


def _span(iterations: Iterable[Sequence[int]]) -> int:
    longest = max(iterations, key=len, default=())
    if len(longest) <= _MAX_POINTS:
        return 0
    return math.ceil((max(longest) + 1) / _MAX_POINTS)


def _averaged(iterations: np.ndarray, values: np.ndarray, span: int) -> list[list[float | None]]:
    if not span:
        return _listed(iterations, values)
    spans, which = np.unique(iterations // span, return_inverse=True)
    known = np.isfinite(values)
    count = np.bincount(which, known, len(spans))
    total = np.bincount(which, np.where(known, values, 0), len(spans))
    means = np.divide(total, count, out=np.full(len(spans), np.nan), where=count > 0)
    return _listed(spans * span + span // 2, means)


def _arrays(part: Mapping[str, Any], values: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array(part["iteration"], dtype=np.int64), np.array(part[values], dtype=np.float64)


def _listed(iterations: np.ndarray, values: np.ndarray) -> list[list[float | None]]:
    numbers = [float(f"{value:.6g}") if math.isfinite(value) else None for value in values]
    return [iterations.tolist(), numbers]
