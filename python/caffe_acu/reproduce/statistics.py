"""What several runs say together. Values are percent or points; a run is one value."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr

_LEVEL = 0.05  # two-sided: a difference that chance makes less often is called significant
_ROUNDING = 1e-9  # points: what equal values may seem to differ by, when their mean is rounded


@dataclass(frozen=True)
class Sample:
    """The values of n runs, at least one."""

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def std(self) -> float | None:
        """Sample standard deviation, over n - 1; None for one run."""
        return float(np.std(self.values, ddof=1)) if self.n > 1 else None


@dataclass(frozen=True)
class Gain:
    """By how much the second of two samples is better, with its standard error after Welch (1947).

    ``standard_error``: sqrt(s1^2 / n1 + s2^2 / n2), None if a sample is one run; ``significant``: by Welch's t test at
    5 %, two-sided; None without a standard error, or if it is 0.
    """

    points: float
    standard_error: float | None
    significant: bool | None
    remark: str


def gain(base: Sample, other: Sample) -> Gain:
    """From errors: positive if ``other`` errs less."""
    points = base.mean - other.mean
    words = f"{points:+.2f} points"
    if base.std is None or other.std is None:
        both = base.n == other.n
        single = "one run each" if both else f"one run of {'the first' if base.std is None else 'the second'}"
        return Gain(points, None, None, f"{words}; {single}: no standard error")
    shares = base.std**2 / base.n, other.std**2 / other.n
    error = math.sqrt(sum(shares))
    if error < _ROUNDING:
        return Gain(points, 0.0, None, f"{words}; the runs of each do not differ: nothing to compare it with")
    freedom = sum(shares) ** 2 / (shares[0] ** 2 / (base.n - 1) + shares[1] ** 2 / (other.n - 1))
    chance = 2 * float(stdtr(freedom, -abs(points) / error))
    remark = f"{words}, standard error {error:.2f}: {abs(points) / error:.1f} standard errors"
    return Gain(points, error, chance < _LEVEL, remark)
