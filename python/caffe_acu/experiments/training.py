"""Runs that train together: side by side or in turn, on CPU or GPU, until they are done or the time is."""

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tqdm import tqdm

from caffe_acu.experiments.run import Run

_POLL_SECONDS = 0.5
_REPORT_SECONDS = 30.0  # between lines of progress where there is no terminal


@dataclass(frozen=True)
class Where:
    """On what runs are trained: a GPU by its number, or the CPU; side by side, or one after the other."""

    gpu: int | None = None
    in_turn: bool = False


def train(runs: Sequence[Run], where: Where = Where(), deadline: float | None = None) -> bool:
    """Trains the runs that are not done yet; returns whether all are.

    At ``deadline``, on the clock of time.monotonic, and at an interrupt each writes a snapshot to go on from.
    """
    left = [run for run in runs if not run.done]
    groups = [[run] for run in left] if where.in_turn else [left] if left else []
    return all(_side_by_side(group, where.gpu, deadline) for group in groups)


def _side_by_side(runs: Sequence[Run], gpu: int | None, deadline: float | None) -> bool:
    """The cores are shared among the runs."""
    if _is_over(deadline):
        return False
    threads = max(1, len(os.sched_getaffinity(0)) // len(runs))
    bars = [tqdm(total=run.max_iter, desc=run.name, unit="it", disable=None, position=i) for i, run in enumerate(runs)]
    running = list(runs)
    try:
        for run in runs:
            run.start(threads, () if gpu is None else (gpu,))
        last_report = time.monotonic()
        while running and not _is_over(deadline):
            running[0].wait(_POLL_SECONDS)
            for run, bar in zip(runs, bars, strict=True):
                bar.update(run.iteration() - bar.n)
            running = [run for run in running if not run.poll()]
            if bars[0].disable and time.monotonic() - last_report >= _REPORT_SECONDS:
                last_report = time.monotonic()
                print(
                    ", ".join(f"{run.name}: iteration {run.iteration()} of {run.max_iter}" for run in runs), flush=True
                )
    finally:
        for run in runs:
            run.stop()
        for bar in bars:
            bar.close()
    return not running


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline
