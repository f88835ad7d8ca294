"""What stands in the folder of a run, finished or not. Nothing is written here.

A run's folder may be half written, or somebody else's: each mistake is a UserError that names file and cure.
"""

import csv
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu import position_log
from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.errors import UserError
from caffe_acu.net_param import read_net
from caffe_acu.position_files import movement_in, snapshots_in
from caffe_acu.positions import LayerSeries, read_series
from caffe_acu.reproduce.run_status import DONE, run_status
from caffe_acu.training_log import read_training_log

_SEED = re.compile(r"seed(0|[1-9]\d*)")
_COLUMNS = ("iteration", "lr", "train_loss", "test_loss", "test_error_percent")
# Whole numbers of run.json and their least values; what those are that may be missing.
_COUNTS = {"seed": 0, "scale": 1, "max_iter": 1, "warmup_iter": 0, "gpus_per_run": 1}
_UNTOLD = {"warmup_iter": 0, "gpus_per_run": 1}  # without ACUs; of earlier versions


@dataclass(frozen=True)
class Metrics:
    """The curves of a run, by ascending iteration. What is not known of an iteration is NaN."""

    train_iteration: np.ndarray  # int64 (T,)
    rate: np.ndarray  # (T,) the learning rate of that iteration
    train_loss: np.ndarray  # (T,)
    test_iteration: np.ndarray  # int64 (U,)
    test_loss: np.ndarray  # (U,)
    test_error: np.ndarray  # (U,) percent

    @property
    def iteration(self) -> int:
        """The last one that anything is known of."""
        return int(max((*self.train_iteration[-1:], *self.test_iteration[-1:]), default=0))

    @property
    def rate_drops(self) -> list[tuple[int, float]]:
        """Where the rate falls in steps: iterations, as far as the log tells them, and the new rates. A rate that
        falls all the time has none."""
        known = np.isfinite(self.rate)
        iterations, rates = self.train_iteration[known], self.rate[known]
        falls = np.flatnonzero(np.diff(rates) < 0) + 1
        if len(falls) > len(rates) / 2:
            return []
        return list(zip(iterations[falls].tolist(), rates[falls].tolist(), strict=True))


NO_METRICS = Metrics(*(np.zeros(0, dtype) for dtype in (np.int64, float, float, np.int64, float, float)))


def remark_of(scale: int, differs: str = "") -> str:
    """What stands beside numbers that are not comparable: "scaled 1/64, not comparable"; "" if they are."""
    reasons = [differs] if differs else []
    reasons += [f"scaled 1/{scale}"] if scale > 1 else []
    return ", ".join([*reasons, "not comparable"]) if reasons else ""


@dataclass(frozen=True)
class RunRecord:
    """A run as its ``run.json`` describes it; the rest is read when it is asked for."""

    folder: Path
    model: str  # below models/
    seed: int
    scale: int  # the schedule is the paper's divided by it
    max_iter: int
    warmup_iter: int
    data: str
    limit: int | None  # of the data set, if not all of it
    done: bool
    differs: str  # from the paper, beside the scale; "" if nothing does
    gpus_per_run: int  # that share each batch; 1 on the CPU

    @property
    def remark(self) -> str:
        """Why its numbers are not comparable with the paper's; "" if they are."""
        return remark_of(self.scale, self.differs)

    def metrics(self) -> Metrics:
        return read_metrics(self.folder)

    @property
    def iteration(self) -> int:
        """The last one that metrics.csv or the log knows of."""
        return self.metrics().iteration

    @property
    def status(self) -> str:
        """Of :func:`run_status`, at this moment."""
        return run_status(self.folder)

    def test(self) -> dict[str, Any]:
        """What ``caffe-acu evaluate --json`` wrote of the final weights."""
        return _json_object(self.folder / "test.json", "its test, which `caffe-acu evaluate --json` writes")

    def test_error(self, top: int, crops: int) -> float:
        """Percent of the final test; UserError unless it is of that many ``crops`` and tells of ``top``."""
        path, test = self.folder / "test.json", self.test()
        if test.get("crops") != crops:
            raise UserError(f"{path}: tested with {test.get('crops')} crops, the table has {crops}: evaluate it anew")
        try:
            percent = test["top"][str(top)]["percent"]
        except (KeyError, TypeError):
            raise UserError(f"{path}: no top-{top} error in it: evaluate it anew with --top {top}") from None
        if not _is_number(percent) or not 0 <= percent <= 100:
            raise UserError(f"{path}: a top-{top} error of {percent!r} is no percentage: evaluate it anew")
        return float(percent)

    def environment(self) -> dict[str, Any]:
        """Commit, hardware, date and seed of the run's beginning."""
        return _json_object(self.folder / "env.json", "where the run began")

    def positions(self) -> list[LayerSeries]:
        return read_positions_over_time(self.folder)


def read_run(folder: Path) -> RunRecord:
    """The run in a folder; UserError if it is none."""
    path = folder / "run.json"
    description = _json_object(path, "which begins every run")
    counts = {name: _whole(path, description, name, least) for name, least in _COUNTS.items()}
    model, data, limit = description.get("model"), description.get("data"), description.get("limit")
    differs = description.get("differs", "")
    if not all(isinstance(name, str) for name in (model, data, differs)) or not (limit is None or _is_whole(limit, 1)):
        raise UserError(f"{path}: model, data and differs are texts, and limit a number or null: was it edited?")
    done = (folder / DONE).is_file()
    return RunRecord(folder, model=model, data=data, limit=limit, done=done, differs=differs, **counts)


def _whole(path: Path, description: Mapping[str, Any], name: str, least: int) -> int:
    value = description.get(name)
    if value is None and name in _UNTOLD:
        return _UNTOLD[name]
    if not _is_whole(value, least):
        raise UserError(f"{path}: {name} is {value!r}, a whole number of at least {least} was expected: was it edited?")
    return value


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def find_runs(results: Path, model: str) -> tuple[list[RunRecord], list[str]]:
    """The runs of a network below a folder of results, by their seeds, and a line for everything else that is there."""
    paper, _, network = model.partition("/")
    place = results / paper / "runs" / network
    runs, foreign = [], []
    try:
        folders = sorted(path for path in place.iterdir() if path.name[0] != ".") if place.is_dir() else []
    except OSError as error:
        raise UserError(f"{place}: cannot be read: {error.strerror}") from error
    for folder in folders:
        try:
            runs.append(_run_of(folder, model))
        except UserError as error:
            foreign.append(str(error))
    return sorted(runs, key=lambda run: run.seed), foreign


def _run_of(folder: Path, model: str) -> RunRecord:
    named = _SEED.fullmatch(folder.name)
    if not named or not folder.is_dir():
        raise UserError(f"{folder}: not a run, whose folder is called seed<number>; left out")
    run = read_run(folder)
    if (run.model, run.seed) != (model, int(named[1])):
        raise UserError(f"{folder}: its run.json is of {run.model}, seed {run.seed}: was it copied here? Left out")
    return run


def read_metrics(folder: Path) -> Metrics:
    """From metrics.csv, or from train.log where that is newer or alone; empty before the first iteration is logged.

    UserError if what is there cannot be read.
    """
    table, log = folder / "metrics.csv", folder / "train.log"
    if _modified(table) >= _modified(log) and table.is_file():
        return _read_table(table)
    if not log.is_file():
        return NO_METRICS
    try:
        return metrics_of_log(log)
    except UserError:
        # A run that has only begun; what cannot be opened at all is a fault.
        if not _readable(log):
            raise
        return NO_METRICS


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def _readable(path: Path) -> bool:
    try:
        with path.open("rb"):
            return True
    except OSError:
        return False


def metrics_of_log(path: Path) -> Metrics:
    """Of the log of ``caffe train``; UserError if it cannot be read or holds no training."""
    log = read_training_log(path)
    return Metrics(log.iterations, log.rate, log.loss, log.test_iterations, log.test_loss, log.test_error)


def _read_table(path: Path) -> Metrics:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file, strict=True))
        columns = {name: [line[name] for line in lines] for name in _COLUMNS}
        values = {
            name: np.array([float(cell) if cell != "" else np.nan for cell in columns[name]]) for name in _COLUMNS
        }
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, csv.Error) as error:  # UnicodeDecodeError is a ValueError
        raise UserError(f"{path}: damaged ({error}): delete it, it is made of train.log") from error
    iterations = values["iteration"]
    if not np.all(np.isfinite(iterations)) or np.any(np.diff(iterations) <= 0):
        raise UserError(f"{path}: damaged (iterations do not ascend): delete it, it is made of train.log")
    # Not by NaN: a loss that has become NaN is known.
    known = {name: np.array([cell != "" for cell in cells], bool) for name, cells in columns.items()}
    trained, tested = known["train_loss"], known["test_loss"] | known["test_error_percent"]
    return Metrics(
        iterations[trained].astype(np.int64),
        values["lr"][trained],
        values["train_loss"][trained],
        iterations[tested].astype(np.int64),
        values["test_loss"][tested],
        values["test_error_percent"][tested],
    )


def read_positions_over_time(folder: Path) -> list[LayerSeries]:
    """Of every active layer: from positions.npz, positions.log or the snapshots; none for networks without them."""
    file = movement_in(folder)
    if file:
        return _loaded(file, position_log.load_npz if file.suffix == ".npz" else position_log.read_position_log)
    snapshots = snapshots_in(folder)
    active = snapshots and any(layer.type in ACTIVE_TYPES for layer in read_net(snapshots[0]).layer)
    return read_series(snapshots) if active else []


def _loaded(path: Path, read) -> list[LayerSeries]:
    try:
        return read(path)
    except UserError:
        raise
    except Exception as error:  # whatever a damaged archive raises: zipfile's, NumPy's, zlib's
        raise UserError(f"{path}: damaged ({error}); delete it, and the run's snapshots are taken") from error


def _json_object(path: Path, what: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path.parent}: no {path.name}, {what}: half written, or no run") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: damaged, not JSON ({error}): half written?") from error
    if not isinstance(found, dict):
        raise UserError(f"{path}: damaged, an object was expected: half written?")
    return found
