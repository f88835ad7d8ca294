"""``metrics.csv`` of a run: its log as a table."""

import csv
import io
import math
from pathlib import Path

from caffe_acu.net_param import write_atomically
from caffe_acu.training_log import TrainingLog

METRICS = "metrics.csv"
_COLUMNS = ("iteration", "lr", "train_loss", "test_loss", "test_error_percent")


def write_metrics(log: TrainingLog, path: Path) -> None:
    """A line for every iteration of which the log tells anything, blank where it does not; UserError if it fails."""
    rows: dict[int, dict[str, float]] = {}
    training = zip(log.iterations, log.rate, log.loss, strict=True)
    for iteration, rate, loss in training:
        rows[int(iteration)] = {"lr": rate, "train_loss": loss}
    tests = zip(log.test_iterations, log.test_loss, log.test_error, strict=True)
    for iteration, loss, error in tests:
        rows.setdefault(int(iteration), {}).update(test_loss=loss, test_error_percent=error)
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    for iteration, values in sorted(rows.items()):
        known = {name: f"{value:.6g}" for name, value in values.items() if not math.isnan(value)}
        writer.writerow({"iteration": iteration, **known})
    write_atomically(path, text.getvalue())
