"""The measurements: layers, training iteration, cores held by others, memory. Each gives rows for the JSON file."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from interleaved import Samples, Timer, judge, ratio, time_candidates
from protocol import Refused, Worker
from shapes import (
    BUSY_NETS,
    CANDIDATES,
    KERNEL,
    NET_TARGETS,
    NETS,
    PASSES,
    LayerCase,
    layer_candidates,
    layer_targets,
)
from workers import caffe_worker

_AGREEMENT = 1e-3  # largest difference between two candidates, in units of the largest value
_SAME = (("conv", "stock"), ("conv", "torch"), ("acu", "dcls"))  # these compute the same
# Ends by itself should the benchmark be killed.
_BUSY_LOOP = "import os; p = os.getppid()\nwhile os.getppid() == p:\n for _ in range(10**6): pass"

Row = dict[str, Any]
Progress = Callable[[], object]


def measure_layer(
    case: LayerCase, workers: dict[str, Worker], threads: int, rounds: int, progress: Progress
) -> tuple[list[Row], list[str]]:
    """A row for each pass, and what there is to say about them. ``progress`` is called after every round."""
    chosen, notes = prepare_layer(case, workers, {name: CANDIDATES[name] for name in layer_candidates(case)}, _SAME)
    rows = []
    for pass_ in PASSES:
        samples = time_candidates(chosen, pass_, rounds, progress)
        rows.append(
            {
                "layer": case.name,
                "depthwise": case.depthwise,
                "shape": asdict(case),
                "threads": threads,
                "pass": pass_,
                "ratios": judge(samples, layer_targets(case, pass_)),
                **_times(samples),
            }
        )
    _release(workers)
    return rows, notes


def prepare_layer(
    case: LayerCase,
    workers: dict[str, Worker],
    candidates: dict[str, tuple[str, str]],
    same: Iterable[tuple[str, str]],
) -> tuple[dict[str, Worker], list[str]]:
    """The worker of each candidate, which has it ready, and what there is to say: who is missing, and which of the
    pairs in ``same`` do not compute the same. ``candidates``: where they run, and their labels."""
    chosen, notes, digests = {}, [], {}
    for candidate, (place, label) in candidates.items():
        try:
            digests[candidate] = workers[place].ask("prepare", candidate=candidate, case=asdict(case))
            chosen[candidate] = workers[place]
        except Refused as reason:
            notes.append(f"{label} was not measured on {case.name}: {reason}")
    return chosen, notes + _disagreements(case, digests, same, candidates)


def _disagreements(
    case: LayerCase,
    digests: dict[str, dict[str, list[float]]],
    same: Iterable[tuple[str, str]],
    candidates: dict[str, tuple[str, str]],
) -> list[str]:
    notes = []
    for ours, peer in same:
        for what in digests.get(ours, {}).keys() & digests.get(peer, {}).keys():
            a, b = digests[ours][what], digests[peer][what]
            scale = max(map(abs, b)) or 1.0
            largest = max(abs(x - y) for x, y in zip(a, b, strict=True)) / scale
            if not largest <= _AGREEMENT:
                labels = candidates[ours][1], candidates[peer][1]
                notes.append(f"DIFFERENT RESULTS on {case.name}: {what} of {' and '.join(labels)} by {largest:.1e}")
    return notes


def measure_training(
    workers: dict[str, Worker], threads: int, rounds: int, progress: Progress
) -> tuple[list[Row], list[str]]:
    chosen, notes = _prepare_nets(workers, tuple(NETS))
    samples = time_candidates(chosen, "step", rounds, progress)
    _release(workers)
    return [{"threads": threads, "ratios": judge(samples, NET_TARGETS), **_times(samples)}], notes


def measure_busy(
    workers: dict[str, Worker], threads: int, rounds: int, progress: Progress
) -> tuple[list[Row], list[str]]:
    """Training iterations alone and beside a busy loop for each core, in turn within every round."""
    chosen, notes = _prepare_nets(workers, BUSY_NETS)
    timer, alone, beside = Timer(chosen, "step"), {}, {}
    timer.warm_up()
    cores = len(os.sched_getaffinity(0))
    for number in range(rounds):
        timer.round(number, alone)
        with _busy_loops(cores):
            timer.round(number, beside)
        progress()
    _release(workers)
    slowdown = {net: ratio(beside[net], alone[net]) for net in chosen}
    return [
        {
            "threads": threads,
            "busy_loops": cores,
            "slowdown": slowdown,
            "alone": _times(alone),
            "beside": _times(beside),
        }
    ], notes


def measure_memory(case: LayerCase, threads: int) -> tuple[list[Row], list[str]]:
    """Growth of the peak memory in a pass forward and backward, of the ACU and of the convolutions."""
    growth, notes = {}, []
    for candidate in ("acu", "conv", "stock"):
        with caffe_worker(threads, exact_memory=True) as worker:  # each in a process of its own
            try:
                growth[candidate] = worker.ask("memory", candidate=candidate, case=asdict(case))
            except Refused as reason:
                notes.append(f"memory of {CANDIDATES[candidate][1]} was not measured on {case.name}: {reason}")
    bound = threads * KERNEL**2 * case.channels * case.out_size**2 * 4
    return [{"layer": case.name, "threads": threads, "bound_bytes": bound, "growth_bytes": growth}], notes


def _prepare_nets(workers: dict[str, Worker], nets: Sequence[str]) -> tuple[dict[str, Worker], list[str]]:
    chosen, notes = {}, []
    for net in nets:
        place, label = NETS[net]
        try:
            workers[place].ask("prepare", candidate=net)
            chosen[net] = workers[place]
        except Refused as reason:
            notes.append(f"the network '{label}' was not measured: {reason}")
    return chosen, notes


def _release(workers: dict[str, Worker]) -> None:
    for worker in workers.values():
        worker.ask("release")


def _times(samples: Samples) -> Row:
    return {"median_ms": {name: median(values) * 1e3 for name, values in samples.items()}, "samples_s": samples}


@contextlib.contextmanager
def _busy_loops(count: int) -> Iterator[None]:
    loops: list[subprocess.Popen] = []
    try:
        for _ in range(count):
            loops.append(subprocess.Popen([sys.executable, "-S", "-c", _BUSY_LOOP]))
        time.sleep(0.3)  # until they run
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
