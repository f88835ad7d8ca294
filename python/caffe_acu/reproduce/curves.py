"""Curves of a run as figures want them, from its folder or its log alone."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.reproduce.records import Metrics, metrics_of_log, read_metrics, read_run


@dataclass(frozen=True)
class RunCurves:
    """Of a run, as :func:`caffe_acu.plots.curves.training_curves` wants them."""

    iterations: np.ndarray  # (T,)
    loss: np.ndarray  # (T,)
    test_iterations: np.ndarray  # (U,)
    test_error: np.ndarray  # (U,) percent
    warmup_iter: int
    rate_drops: list[int]  # iterations


def read_curves(source: Path) -> RunCurves:
    """Of a run's folder, or of a log; UserError if there are none in it."""
    warmup_iter = 0
    if source.is_dir():
        metrics = read_metrics(source)
        if (source / "run.json").is_file():
            warmup_iter = read_run(source).warmup_iter
    else:
        metrics = metrics_of_log(source)
    if not len(metrics.train_loss):
        raise UserError(f"{source}: no curves in it, neither metrics.csv nor train.log: train it anew")
    return _curves(metrics, warmup_iter)


def _curves(metrics: Metrics, warmup_iter: int) -> RunCurves:
    tested = np.isfinite(metrics.test_error)
    return RunCurves(
        metrics.train_iteration,
        metrics.train_loss,
        metrics.test_iteration[tested],
        metrics.test_error[tested],
        warmup_iter,
        [iteration for iteration, _ in metrics.rate_drops],
    )
