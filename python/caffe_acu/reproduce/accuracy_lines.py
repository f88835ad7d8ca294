"""The results of a table as lines of a figure: accuracies over what the networks go by."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caffe_acu.errors import UserError
from caffe_acu.net_param import read_bytes
from caffe_acu.plots.accuracy import AccuracyLine
from caffe_acu.reproduce.figures import CHANNELS_PER_GROUP

# What a figure's axis may show, and its name.
AXES = {
    "parameters": "parameters (millions)",
    "madds": "multiply-adds (millions)",
    "network": "network",
}
_WORDS = {
    "Conv3x3": "3x3 convolution",
    "Conv5x5": "5x5 convolution",
    "ACU": "3x3 ACU",
    "depthwise conv": "depthwise convolution",
    "baseline": "convolution",
}


@dataclass(frozen=True)
class AccuracyFigure:
    """What :func:`caffe_acu.plots.accuracy.accuracy_lines` draws."""

    lines: dict[str, AccuracyLine]
    xlabel: str
    xticks: dict[float, str] | None
    joined: bool  # whether the axis is one of numbers


def read_results(path: Path) -> dict[str, Any]:
    """Results of a table, which `caffe-acu table` wrote as JSON; UserError if they are something else."""
    try:
        results = json.loads(read_bytes(path))
        for row in results["rows"]:
            _ = row["row"], row["dataset"], row["metric"] + "", row["params"] + row["madds"], row["paper_value"] + 0
            _ = row["ours"] and (row["ours"]["mean"] + 0, row["ours"]["std"])
        _ = results["title"] + results["remark"] + results["paper"] + results["table"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{path}: no results of a table; the .json that `caffe-acu table` writes was expected"
        ) from error
    return results


def accuracy_figure(results: Mapping[str, Any], by: str, top: int = 1) -> AccuracyFigure:
    """Of the results of a table (:func:`caffe_acu.reproduce.results.table_results`, or their JSON).

    Rows are called "network, kind", with a line for each kind; others have one each. What the paper printed is there if
    ours is comparable with it.

    Args:
        by: one of AXES.
        top: 5 for the table's top-5 accuracies.

    UserError if no such row has a result of ours, or rows are differences, which have no accuracy.
    """
    rows = [row for row in results["rows"] if row["ours"] and row["metric"].startswith("top-5") == (top == 5)]
    if not rows:
        raise UserError(
            f"{results['title']}: no top-{top} results of ours; run: "
            f"caffe-acu reproduce {results['paper']} {results['table']}"
        )
    if any(row["metric"].endswith("points") for row in rows):
        raise UserError(f"{results['title']}: its rows are differences, which have no accuracy to draw")
    several = len({row["dataset"] for row in rows}) > 1
    parts = [_parts(row["row"], row["dataset"] if several else "") for row in rows]
    networks = list(dict.fromkeys(network for network, _ in parts))
    comparable = not any(row.get("remark", results["remark"]) for row in rows)
    lines = {}
    for kind in dict.fromkeys(kind for _, kind in parts):
        own = [(_x(row, by, networks.index(network)), row) for row, (network, one) in zip(rows, parts, strict=True)
               if one == kind]  # fmt: skip
        x, of_kind = zip(*sorted(own, key=lambda point: point[0]), strict=True)
        lines[kind] = AccuracyLine(
            x=x,
            mean=[_accuracy(row, row["ours"]["mean"]) for row in of_kind],
            std=[row["ours"]["std"] for row in of_kind],
            printed=[_accuracy(row, row["paper_value"]) for row in of_kind] if comparable else None,
        )
    if by != "network":
        return AccuracyFigure(lines, AXES[by], None, True)
    grouped = all(network in CHANNELS_PER_GROUP for network in networks)
    ticks = {i: f"{CHANNELS_PER_GROUP[name]}\n{name}" if grouped else name for i, name in enumerate(networks)}
    return AccuracyFigure(lines, "input channels of a group" if grouped else AXES[by], ticks, grouped)


def _parts(row: str, dataset: str) -> tuple[str, str]:
    """What the horizontal axis may call it, and its line."""
    network, comma, kind = row.rpartition(", ")
    kind = _WORDS.get(kind, kind) if comma else row
    return network if comma else row, f"{kind}, {dataset}" if dataset else kind


def _x(row: Mapping[str, Any], by: str, place: int) -> float:
    """``place``: of its network among all."""
    return place if by == "network" else row["params" if by == "parameters" else "madds"] / 1e6


def _accuracy(row: Mapping[str, Any], value: float) -> float:
    return value if "accuracy %" in row["metric"] else 100 - value
