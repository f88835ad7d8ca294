"""What a trial found: a table, the data behind it, and the figures."""

import importlib.util
import json
from typing import Any

import numpy as np

from caffe_acu.experiments.environment import command_line, hardware, without_folders
from caffe_acu.experiments.run import Run
from caffe_acu.experiments.trial import Trial
from caffe_acu.net_param import write_atomically
from caffe_acu.nets.schedules import CIFAR_ITERATIONS
from caffe_acu.positions import read_positions


def report(trial: Trial, command: str = "") -> str:
    """Writes report.md, results.json and the figures into the trial's folder; returns the report's text.

    ``command``: the one that is reported, if it is not this process's `caffe-acu`. Without Matplotlib there are no
    figures, and the text says so.
    """
    with_figures = importlib.util.find_spec("matplotlib") is not None
    rows: list[dict[str, Any]] = []
    shape_rows: list[dict[str, Any]] = []
    for pair in trial.pairs:
        rows += [_row(pair.base), _row(pair.acu)]
        shape_rows += _shape_rows(pair.acu)
        if with_figures:
            from caffe_acu.experiments.figures import draw

            draw(trial.out, pair, _schedule(trial))
    results = {
        "command": command or command_line(),
        "environment": trial.pairs[-1].acu.environment(),
        "data": without_folders(trial.manifest["source"]),
        "schedule": _schedule(trial),
        "warmup_iter": trial.options.warmup,
        "seed": trial.options.seed,
        "rows": rows,
        "shapes": shape_rows,
    }
    write_atomically(trial.out / "results.json", json.dumps(results, indent=2) + "\n")
    text = _text(results, with_figures)
    write_atomically(trial.out / "report.md", text)
    return text


def _schedule(trial: Trial) -> str:
    if not trial.options.paper:
        return "short schedule (not the paper's)"
    scaled = "" if trial.options.iterations == CIFAR_ITERATIONS else f", scaled from {CIFAR_ITERATIONS:,} iterations"
    return f"the paper's schedule{scaled}"


def _row(run: Run) -> dict[str, Any]:
    log = run.log()
    milliseconds = log.iteration_ms
    return {
        "network": run.name,
        "iterations": run.max_iter,
        "test_error_percent": round(float(log.test_error[-1]), 2),
        "final_training_loss": round(float(log.loss[-1]), 4),
        "median_iteration_ms": round(float(np.median(milliseconds)), 3) if len(milliseconds) else None,
        "minutes": round(float(np.nansum(log.seconds)) / 60, 2),
    }


def _shape_rows(run: Run) -> list[dict[str, Any]]:
    return [
        {
            "network": run.name,
            "layer": layer.layer,
            "mean_displacement": round(layer.mean_displacement, 3),
            "max_displacement": round(layer.max_displacement, 3),
            "mean_radius": round(layer.mean_radius, 3),
        }
        for layer in read_positions(run.snapshots()[-1])
    ]


def _text(results: dict[str, Any], with_figures: bool) -> str:
    environment = results["environment"]
    lines = [
        f"# Trial: {results['schedule']}",
        "",
        "Both networks on the same images, one seed. Times of networks that trained side by side are no measurement.",
        "",
        "| network | iterations | test error (%) | last training loss | ms/iteration | minutes |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['network']} | {row['iterations']} | {row['test_error_percent']:.2f} "
        f"| {row['final_training_loss']:.3f} | {row['median_iteration_ms'] or '-'} | {row['minutes']} |"
        for row in results["rows"]
    ]
    lines += ["", "| ACU layer | moved, mean (px) | moved, max (px) | mean radius (px) |", "|---|---|---|---|"]
    lines += [
        f"| {row['network']}: {row['layer']} | {row['mean_displacement']:.3f} | {row['max_displacement']:.3f} "
        f"| {row['mean_radius']:.3f} |"
        for row in results["shapes"]
    ]
    networks = dict.fromkeys(row["network"] for row in results["shapes"])
    figures = [f"![shapes of {name}]({name}_shapes.png)" for name in networks] if with_figures else []
    lines += ["", *(figures or ["No figures: Matplotlib is not there; where it is, the same command draws them."]), ""]
    lines += [
        f"- data: {results['data']}",
        f"- warm-up {results['warmup_iter']} iterations, seed {results['seed']}",
        f"- command: `{results['command']}`",
        f"- commit: {environment['commit']}",
        f"- hardware: {hardware(environment)}",
        f"- date: {environment['date']}",
    ]
    return "\n".join(lines) + "\n"
