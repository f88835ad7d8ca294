"""How much processes other than the benchmark's own computed meanwhile: it spoils what is measured."""

import os
import resource
import time
from pathlib import Path

_TOLERATED_CORES = 0.1


class OtherProcesses:
    """Starts to count when it is made. Own processes count once they have ended and been waited for."""

    def __init__(self) -> None:
        self._begin, self._busy, self._own = time.monotonic(), _busy_seconds(), _own_seconds()

    def cores(self) -> float | None:
        """Cores that others, or other guests of the same host, held on average; None if the system does not tell."""
        if self._busy is None:
            return None
        busy = _busy_seconds() - self._busy - (_own_seconds() - self._own)
        return max(0.0, busy / (time.monotonic() - self._begin))


def note(cores: float | None) -> list[str]:
    if cores is None or cores <= _TOLERATED_CORES:
        return []
    return [f"OTHER PROCESSES computed meanwhile, on {cores:.1f} cores in the mean: measure again on an idle machine"]


def _busy_seconds() -> float | None:
    """Time that all cores together have not been idle, stolen time included."""
    try:
        fields = Path("/proc/stat").read_text().splitlines()[0].split()
        user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    except (OSError, ValueError, IndexError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)
