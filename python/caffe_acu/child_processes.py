"""Processes that do not outlive the one that started them, however that ends."""

import ctypes
import os
import signal
from collections.abc import Callable

_LIBC = ctypes.CDLL(None)  # loaded here: between fork and exec nothing may be
_PR_SET_PDEATHSIG = 1


def at_parents_end(number: signal.Signals) -> Callable[[], None]:
    """For ``preexec_fn`` of a Popen in the main thread: the child gets this signal when its parent ends. Linux."""
    return lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, number)


def end_with_parent(parent: int, number: signal.Signals) -> None:
    """This process gets the signal when its parent, whose id is known, ends; at once if it has ended."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        signal.raise_signal(number)
