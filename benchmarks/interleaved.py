"""Timing candidates against each other: in every round each is timed once, and rounds begin with another one."""

import math
import time
from collections.abc import Callable, Sequence
from statistics import median

from protocol import Worker
from shapes import Target

_SAMPLE_SECONDS = 0.02  # a sample is as many calls as fill this time
_PAUSE_SECONDS = 0.02  # before a sample: threads of the worker before may still spin
_WARM_UPS = 2

Samples = dict[str, list[float]]  # seconds per call of each candidate, by round


class Timer:
    """Times one pass of candidates that their workers have prepared."""

    def __init__(self, workers: dict[str, Worker], pass_: str) -> None:
        self._workers, self._pass = workers, pass_
        self._repeats: dict[str, int] = {}

    def _measure(self, candidate: str, repeats: int) -> float:
        return self._workers[candidate].ask("measure", candidate=candidate, pass_=self._pass, repeats=repeats)

    def warm_up(self) -> None:
        for candidate in self._workers:
            seconds = [self._measure(candidate, 1) for _ in range(_WARM_UPS)][-1]
            self._repeats[candidate] = max(1, math.ceil(_SAMPLE_SECONDS / seconds))

    def round(self, number: int, samples: Samples) -> None:
        """Adds a sample of each candidate. The order rotates with the round's number."""
        order = list(self._workers)
        start = number % len(order)
        for candidate in order[start:] + order[:start]:
            time.sleep(_PAUSE_SECONDS)
            samples.setdefault(candidate, []).append(self._measure(candidate, self._repeats[candidate]))


def time_candidates(workers: dict[str, Worker], pass_: str, rounds: int, progress: Callable[[], object]) -> Samples:
    timer, samples = Timer(workers, pass_), {}
    timer.warm_up()
    for number in range(rounds):
        timer.round(number, samples)
        progress()
    return samples


def ratio(ours: Sequence[float], peer: Sequence[float]) -> float:
    """Median of the rounds' ratios: the two samples of a round are close in time, so drift of the machine cancels."""
    return median(a / b for a, b in zip(ours, peer, strict=True))


def judge(samples: Samples, targets: Sequence[Target]) -> list[dict[str, object]]:
    """The ratios that have both candidates, each beside its limit."""
    results = []
    for target in targets:
        if target.ours in samples and target.peer in samples:
            value = ratio(samples[target.ours], samples[target.peer])
            results.append(
                {"ratio": target.key, "value": value, "limit": target.limit_text(), "met": target.met(value)}
            )
    return results
