"""Runs in progress, as curves in a terminal."""

import contextlib
import math
import os
import select
import shutil
import sys
import termios
import textwrap
import tty
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.reproduce.records import Metrics, read_metrics, read_run
from caffe_acu.reproduce.run_status import run_status

_SECONDS = 2  # between two looks at the files
_COLOURS = ("cyan", "yellow", "magenta", "green", "red", "blue")
_TRACES = ("run.json", "train.log", "metrics.csv")  # any of them makes a folder a run's
_AXIS = 28  # columns left of a curve, and right of it for the name of its axis
_ROUND_A_CURVE = 4  # lines above and below it
_LEAST_LINES = 3  # of a curve
_ROOM = 1.03  # right of the last iteration, for the letters at the ends of curves
_HIDE, _SHOW = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"  # a screen of our own without a cursor, and back


@dataclass(frozen=True)
class Watched:
    """A run as it stands now.

    Attributes:
        mark: the letter at the end of its curves.
        status: of run_status.
        max_iter: where the folder tells.
        remark: why its numbers are not comparable with the paper's.
    """

    mark: str
    name: str
    status: str
    metrics: Metrics
    max_iter: int | None = None
    remark: str = ""

    @property
    def line(self) -> str:
        of = f" of {self.max_iter:,}" if self.max_iter else ""
        parts = [f"{self.mark}  {self.name}: iteration {self.metrics.iteration:,}{of}"]
        rates = self.metrics.rate[np.isfinite(self.metrics.rate)]
        if len(rates):
            parts.append(f"lr {rates[-1]:g}")
        if len(self.metrics.train_loss):
            parts.append(f"loss {self.metrics.train_loss[-1]:.3f}")
        if len(self.metrics.test_error):
            parts.append(f"test error {self.metrics.test_error[-1]:.2f} %")
        return ", ".join(filter(None, (*parts, self.status)))


def look(folders: Sequence[Path]) -> list[Watched]:
    """All runs as they stand; UserError if a folder is none, or damaged."""
    return [_look(folder, chr(ord("a") + i % 26)) for i, folder in enumerate(folders)]


def _look(folder: Path, mark: str) -> Watched:
    if not any((folder / name).is_file() for name in _TRACES):
        raise UserError(
            f"{folder}: no run in it: none of {', '.join(_TRACES)} is there; a run is a folder such as "
            "results/cvpr2017/runs/plain/seed1"
        )
    status = run_status(folder)  # before the metrics, so that those of a finished run are complete
    name, metrics = run_name(folder), read_metrics(folder)
    if not (folder / "run.json").is_file():  # a trial of `caffe-acu trial`, which has all that is drawn, but no lock
        return Watched(mark, name, "done" if status == "done" else "", metrics)
    run = read_run(folder)
    return Watched(mark, name, status, metrics, run.max_iter, run.remark)


def run_name(folder: Path) -> str:
    """``<network>/seed<k>``."""
    return "/".join(folder.resolve().parts[-2:])


def picture(runs: Sequence[Watched], width: int, height: int) -> str:
    """Loss above test error, and what each run is at, in so many columns and lines but one.

    Where there is no room for both curves, the error alone, or the loss as long as nothing has been tested.
    """
    texts = [textwrap.fill(line, max(20, width - 1), subsequent_indent="   ") for line in _lines(runs)]
    losses = {run.mark: (run.metrics.train_iteration, run.metrics.train_loss) for run in runs}
    errors = {run.mark: (run.metrics.test_iteration, run.metrics.test_error) for run in runs}
    drawn = {"loss": losses, "error %": errors}
    room = height - 1 - "\n".join(texts).count("\n") - 1
    if room < 2 * (_LEAST_LINES + _ROUND_A_CURVE):
        name = "error %" if any(len(values) for _, values in errors.values()) else "loss"
        drawn = {name: drawn[name]}
    lines = max(_LEAST_LINES, room // len(drawn) - _ROUND_A_CURVE)
    last = max((run.max_iter or run.metrics.iteration for run in runs), default=1)
    plots = [_plot(name, curves, max(1, last), max(20, width - _AXIS), lines) for name, curves in drawn.items()]
    return "\n".join([*plots, *texts])


def _lines(runs: Sequence[Watched]) -> list[str]:
    """Of the runs, with their remarks; one that all have is told once."""
    if len(runs) > 1 and runs[0].remark and len({run.remark for run in runs}) == 1:
        return [*(run.line for run in runs), runs[0].remark]
    return [", ".join(filter(None, (run.line, run.remark))) for run in runs]


def _plot(name: str, curves: dict[str, tuple[np.ndarray, np.ndarray]], last: int, width: int, height: int) -> str:
    try:
        import plotille
    except ImportError:
        raise UserError("curves need plotille, which is not there: pip install plotille") from None
    figure = plotille.Figure()
    figure.width, figure.height = width, height
    figure.color_mode = "names"
    figure.origin = False
    figure.x_label, figure.y_label = "iteration", name
    for kind in (int, float):
        figure.register_label_formatter(kind, _tick)
    figure.set_x_limits(min_=0, max_=_ROOM * last)
    lowest, highest = 0.0, 0.0
    for i, (mark, (iterations, values)) in enumerate(curves.items()):
        # Infinity cannot be drawn, and a loss that is not a number is nowhere.
        finite = np.isfinite(values)
        x, y = iterations[finite].tolist(), values[finite].tolist()
        if x:
            colour = _COLOURS[i % len(_COLOURS)]
            figure.plot(x, y, lc=colour)
            figure.text([x[-1]], [y[-1]], [mark], lc=colour)
            lowest, highest = min(lowest, *y), max(highest, *y)
    figure.set_y_limits(min_=1.05 * lowest, max_=1.05 * highest or 1)
    return figure.show()


def _tick(value: float, chars: int, delta: float, left: bool = False) -> str:
    decimals = 0 if delta > 20 else max(0, 2 - math.floor(math.log10(delta))) if delta > 0 else 2
    text = f"{value:.{min(decimals, 4)}f}"
    return text.ljust(chars) if left else text.rjust(chars)


def watch(folders: Sequence[Path], once: bool, write: Callable[[], None]) -> None:
    """Draws the runs until all are done, or q is pressed; once only if told so, or if nobody sees it.

    ``write`` is called after every look, for what is kept of the curves elsewhere.
    """
    if once or not sys.stdout.isatty():
        runs = look(folders)
        write()
        print(picture(runs, *shutil.get_terminal_size((100, 40))))
        return
    with _screen() as pressed:
        while True:
            runs = look(folders)
            size = shutil.get_terminal_size()
            # Drawn over the old picture, which would flicker if it were cleared first.
            lines = [*picture(runs, *size).splitlines(), "q: leave"][-size.lines :]
            sys.stdout.write("\x1b[H" + "\x1b[K\r\n".join(lines) + "\x1b[K\x1b[J")
            sys.stdout.flush()
            write()
            if all(run.status == "done" for run in runs) or pressed(_SECONDS):
                break
    print(picture(runs, *shutil.get_terminal_size()))  # what stays


@contextlib.contextmanager
def _screen() -> Iterator[Callable[[float], bool]]:
    """A screen to draw on; gives a function that waits some seconds, true as soon as q is pressed."""
    keys = sys.stdin.fileno() if sys.stdin.isatty() else None
    before = termios.tcgetattr(keys) if keys is not None else None

    def pressed(seconds: float) -> bool:
        waiting = [] if keys is None else [keys]
        ready = select.select(waiting, [], [], seconds)[0]
        return bool(ready) and os.read(keys, 1) in (b"q", b"Q", b"")

    try:
        if keys is not None:
            tty.setcbreak(keys)
        sys.stdout.write(_HIDE)
        yield pressed
    finally:
        sys.stdout.write(_SHOW)
        sys.stdout.flush()
        if before is not None:
            termios.tcsetattr(keys, termios.TCSADRAIN, before)
