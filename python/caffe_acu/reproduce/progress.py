"""How far the runs of a table are, read from their folders while others work in them."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from rich.table import Table

from caffe_acu.errors import UserError
from caffe_acu.reproduce.plan import Training
from caffe_acu.reproduce.prepare_run import read_settings
from caffe_acu.reproduce.records import remark_of
from caffe_acu.reproduce.run_status import run_status
from caffe_acu.training_log import TrainingLog, read_training_log

_REFRESH_SECONDS = 2.0
_REPORT_SECONDS = 30.0  # between lines where there is no terminal
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True)
class RunState:
    """A run at a moment; None where nothing is known. ``remark``: why its numbers are not comparable."""

    name: str
    status: str  # of run_status
    iteration: int
    max_iter: int
    loss: float | None = None  # of training
    error: float | None = None  # of the last test, top-1 in percent
    iterations_per_second: float | None = None
    remark: str = ""

    @property
    def seconds_left(self) -> float | None:
        if self.status != "running" or not self.iterations_per_second:
            return None
        return (self.max_iter - self.iteration) / self.iterations_per_second

    @property
    def cells(self) -> tuple[str, ...]:
        """As COLUMNS."""
        return (
            self.name,
            self.status,
            f"{self.iteration:,} of {self.max_iter:,}",
            _text(self.loss, ".4f"),
            _text(self.error, ".2f"),
            _text(self.iterations_per_second, ".2f"),
            "" if self.seconds_left is None else duration(self.seconds_left),
        )


COLUMNS = ("run", "", "iteration", "loss", "error (%)", "it/s", "left")
_LEAST_WANTED = ("it/s", "loss", "error (%)", "left", "iteration")
_LEAST_NAME = 20


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def duration(seconds: float) -> str:
    """In two units at most: "3 h 20 min"."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    hours, minutes = divmod(round(seconds / _MINUTE), _MINUTE)
    return f"{hours // 24} d {hours % 24} h" if hours >= 24 else f"{hours} h {minutes} min"


def run_state(results: Path, training: Training) -> RunState:
    """The state of a run whose folder is prepared."""
    folder = results / training.folder
    name, settings = f"{training.model.name} {training.folder.name}", read_settings(folder)
    max_iter, remark = settings.max_iter, remark_of(settings.scale, settings.differs)
    status = run_status(folder)  # before the log, so that those of a finished run are complete
    try:
        log = read_training_log(folder / "train.log")
    except UserError:  # nothing yet
        return RunState(name, status, 0, max_iter, remark=remark)
    return RunState(
        name,
        status,
        int(max(log.iterations.max(initial=0), log.test_iterations.max(initial=0))),
        max_iter,
        _last(log.loss),
        _tested(folder) if status == "done" else _last(log.test_error),
        _speed(log),
        remark,
    )


def _last(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known[-1]) if len(known) else None


def _speed(log: TrainingLog) -> float | None:
    """Over the last ten stretches between displays, tests included."""
    milliseconds = log.iteration_ms[-10:]
    return 1e3 / float(milliseconds.mean()) if len(milliseconds) and milliseconds.any() else None


def _tested(folder: Path) -> float | None:
    try:
        return float(json.loads((folder / "test.json").read_text())["top"]["1"]["percent"])
    except (OSError, ValueError, KeyError):
        return None


def watch(results: Path, trainings: Sequence[Training], poll: Callable[[], int | None], terminal: bool) -> int:
    """Shows all runs until ``poll`` gives a code, and returns that: a table in a terminal, else a line now and then."""
    show = _watch_in_terminal if terminal else _watch_in_lines
    return show(lambda: [run_state(results, training) for training in trainings], poll)


def _watch_in_terminal(states: Callable[[], list[RunState]], poll: Callable[[], int | None]) -> int:
    from rich.live import Live

    with Live(refresh_per_second=1, vertical_overflow="ellipsis") as live:
        while True:
            code = poll()
            live.update(table_of(states(), live.console.width))
            if code is not None:
                return code
            time.sleep(_REFRESH_SECONDS)


def table_of(states: Sequence[RunState], width: int) -> "Table":
    """Those at work first, since a terminal may have fewer lines than a table has runs; no wider than ``width``.

    A narrow one shows fewer columns, and shortens names.
    """
    from rich.table import Table

    widths = [max(map(len, column)) for column in zip(COLUMNS, *(state.cells for state in states), strict=True)]
    shown = list(range(len(COLUMNS)))
    for least in _LEAST_WANTED:
        if width - sum(widths[i] + 1 for i in shown[1:]) >= min(widths[0], _LEAST_NAME):
            break
        shown.remove(COLUMNS.index(least))
    widths[0] = min(widths[0], max(1, width - sum(widths[i] + 1 for i in shown[1:])))
    title = "; ".join(dict.fromkeys(state.remark for state in states))
    drawn = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, title=title)
    for i in shown:
        drawn.add_column(COLUMNS[i], justify="left" if i < 2 else "right", no_wrap=True, width=widths[i])
    order = ("running", "testing", "failed", "stopped", "waiting", "done")
    for state in sorted(states, key=lambda state: order.index(state.status)):
        style = "dim" if state.status in ("done", "waiting") else None
        drawn.add_row(*(state.cells[i] for i in shown), style=style)
    return drawn


def _watch_in_lines(states: Callable[[], list[RunState]], poll: Callable[[], int | None]) -> int:
    last = time.monotonic()
    while (code := poll()) is None:
        if time.monotonic() - last >= _REPORT_SECONDS:
            last = time.monotonic()
            now = states()
            done = sum(state.status == "done" for state in now)
            print(f"{done} of {len(now)} runs done", flush=True)
            for state in now:
                if state.status in ("running", "testing"):
                    print("  " + line(state), flush=True)
        time.sleep(_REFRESH_SECONDS / 4)
    return code


def line(state: RunState) -> str:
    """A run in a line of text."""
    named = zip(("loss", "error (%)", "it/s", "left"), state.cells[3:], strict=True)
    known = [f"{name} {value}" for name, value in named if value]
    return ", ".join(filter(None, (f"{state.name}: {state.status}, iteration {state.cells[2]}", *known, state.remark)))
