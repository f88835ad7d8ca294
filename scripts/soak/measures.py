"""What a process holds, and whether that grows: a robust slope over the samples after a warm-up."""

import ctypes
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import theilslopes

_SELF = Path("/proc/self")
_CONFIDENCE = 0.95


class _MallInfo(ctypes.Structure):
    """struct mallinfo2 of <malloc.h>."""

    _fields_ = [(f"unused{i}", ctypes.c_size_t) for i in range(4)] + [
        ("mapped", ctypes.c_size_t),
        ("unused4", ctypes.c_size_t),
        ("unused5", ctypes.c_size_t),
        ("used", ctypes.c_size_t),
        ("free", ctypes.c_size_t),
        ("top", ctypes.c_size_t),
    ]


_libc = ctypes.CDLL(None)
_libc.mallinfo2.restype = _MallInfo


def _status(field: str) -> float:
    """A field of /proc/self/status that is in kB, in MiB."""
    return int(re.search(rf"^{field}:\s+(\d+) kB", (_SELF / "status").read_text(), re.MULTILINE)[1]) / 1024


def _allocated() -> float:
    """What malloc has given and not got back, of all threads, in MiB. (NumPy's and Python's small objects are not.)"""
    info = _libc.mallinfo2()
    return (info.used + info.mapped) / 2**20


@dataclass(frozen=True)
class Measure:
    """What is sampled.

    Attributes:
        read: its value now.
        floor: growth, in its unit, that a run of any length may show: sizes that come by chance late in the run.
        per_hour: growth that each hour may show beyond that.
    """

    name: str
    unit: str
    read: Callable[[], float]
    floor: float
    per_hour: float


MEASURES = (
    Measure("resident memory", "MiB", lambda: _status("VmRSS"), 4, 12),
    Measure("of it anonymous", "MiB", lambda: _status("RssAnon"), 4, 12),
    Measure("allocated", "MiB", _allocated, 1, 3),
    Measure("open files", "", lambda: len(os.listdir(_SELF / "fd")) - 1, 0.5, 0),  # without the one that looks
    Measure("threads", "", lambda: len(os.listdir(_SELF / "task")), 0.5, 0),
    Measure("mappings", "", lambda: (_SELF / "maps").read_text().count("\n"), 10, 20),
)


@dataclass(frozen=True)
class Judgement:
    """How a measure went after the warm-up; growths are over that time, in its unit.

    Attributes:
        growth: by the median of the slopes between all pairs of samples (Theil and Sen).
        at_least: the lower end of that slope's confidence interval (95 %), so that chance is no growth.
    """

    measure: Measure
    first: float
    last: float
    growth: float
    at_least: float
    allowed: float

    @property
    def flat(self) -> bool:
        return self.at_least <= self.allowed


def judge(measure: Measure, seconds: Sequence[float], values: Sequence[float], warm_up: float) -> Judgement:
    """``seconds``, ``values``: the samples; those before ``warm_up`` seconds do not count."""
    times = np.asarray(seconds)
    counts = times >= warm_up
    times, kept = times[counts], np.asarray(values)[counts]
    slope, _, low, _ = theilslopes(kept, times, _CONFIDENCE)
    length = times[-1] - times[0]
    allowed = measure.floor + measure.per_hour * length / 3600
    return Judgement(measure, kept[0], kept[-1], slope * length, low * length, allowed)
