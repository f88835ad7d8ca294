"""What a trial found: a table, the data behind it, and the figures."""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

from caffe_acu.experiments.trial import Pair, Trial
from caffe_acu.net_param import write_atomically
from caffe_acu.plots.curves import training_curves
from caffe_acu.plots.figures import save
from caffe_acu.plots.movement import movement
from caffe_acu.plots.shapes import shapes
from caffe_acu.positions import read_positions, read_series


def report(trial: Trial) -> str:
    """Writes report.md, results.json and the figures into the trial's folder; returns the report's text."""
    rows: list[dict[str, Any]] = []
    shape_rows: list[dict[str, Any]] = []
    for pair in trial.pairs:
        rows += [_row(pair.base), _row(pair.acu)]
        shape_rows += _draw(trial.out, pair)
    results = {
        "command": shlex.join(["caffe-acu", *map(_without_folders, sys.argv[1:])]),
        "environment": trial.pairs[-1].acu.environment(),
        "data": _without_folders(trial.manifest["source"]),
        "schedule": "short (not the paper's)",
        "warmup_iter": trial.options.warmup,
        "seed": trial.options.seed,
        "rows": rows,
        "shapes": shape_rows,
    }
    write_atomically(trial.out / "results.json", json.dumps(results, indent=2) + "\n")
    text = _text(results)
    write_atomically(trial.out / "report.md", text)
    return text


def _without_folders(text: str) -> str:
    # Where a file lies on this machine is nobody's business, and different on every other.
    return re.sub(r"(?<!\S)(/|\.\./)\S*/(?=[^/\s]+(\s|$))", "", text)


def _row(run) -> dict[str, Any]:
    log = run.log()
    return {
        "network": run.name,
        "iterations": run.max_iter,
        "test_error_percent": round(float(log.test_error[-1]), 2),
        "final_training_loss": round(float(log.loss[-1]), 4),
    }


def _draw(out: Path, pair: Pair) -> list[dict[str, Any]]:
    name = pair.acu.name
    learned = read_positions(pair.acu.snapshots()[-1])
    series = read_series(pair.acu.snapshots())
    save(shapes(learned, f"{name}: learned shapes after {pair.acu.max_iter} iterations"), out / f"{name}_shapes.png")
    ends = series if len(series) == 1 else [series[0], series[-1]]
    save(movement(ends, f"{name}: positions of the synapses"), out / f"{name}_movement.png")
    curves = {pair.base.name: pair.base.log(), pair.acu.name: pair.acu.log()}
    save(training_curves(curves, "short schedule"), out / f"{name}_curves.png")
    return [
        {
            "network": name,
            "layer": layer.layer,
            "mean_displacement": round(layer.mean_displacement, 3),
            "max_displacement": round(layer.max_displacement, 3),
            "mean_radius": round(layer.mean_radius, 3),
        }
        for layer in learned
    ]


def _text(results: dict[str, Any]) -> str:
    environment = results["environment"]
    lines = [
        "# Trial on a short schedule",
        "",
        "Not a reproduction: minutes of training where the paper has 64,000 iterations.",
        "",
        "| network | iterations | test error (%) | last training loss |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {row['network']} | {row['iterations']} | {row['test_error_percent']:.2f} "
        f"| {row['final_training_loss']:.3f} |"
        for row in results["rows"]
    ]
    lines += ["", "| ACU layer | moved, mean (px) | moved, max (px) | mean radius (px) |", "|---|---|---|---|"]
    lines += [
        f"| {row['network']}: {row['layer']} | {row['mean_displacement']:.3f} | {row['max_displacement']:.3f} "
        f"| {row['mean_radius']:.3f} |"
        for row in results["shapes"]
    ]
    networks = dict.fromkeys(row["network"] for row in results["shapes"])
    lines += ["", *(f"![shapes of {name}]({name}_shapes.png)" for name in networks), ""]
    lines += [
        f"- data: {results['data']}",
        f"- warm-up {results['warmup_iter']} iterations, seed {results['seed']}",
        f"- command: `{results['command']}`",
        f"- commit: {environment['commit']}",
        f"- hardware: {environment['processor']}, {environment['cores']} cores",
        f"- date: {environment['date']}",
    ]
    return "\n".join(lines) + "\n"
