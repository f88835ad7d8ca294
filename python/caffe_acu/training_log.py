"""What ``caffe train`` writes to its log, as arrays."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.errors import UserError

_LOSS = re.compile(r"Iteration (\d+) \(.*\), loss = (\S+)")
_TEST = re.compile(r"Iteration (\d+), Testing net")
_TEST_OUTPUT = re.compile(r"Test net output #\d+: (\S+) = (\S+)")


@dataclass(frozen=True)
class TrainingLog:
    """Curves of a run, by increasing iteration; after a resumption the later record of an iteration counts."""

    iterations: np.ndarray  # (n,)
    losses: np.ndarray  # (n,) training loss
    test_iterations: np.ndarray  # (m,)
    test_accuracies: np.ndarray  # (m,) 0 to 1
    test_losses: np.ndarray  # (m,)

    @property
    def test_errors(self) -> np.ndarray:
        """(m,) percent."""
        return 100 * (1 - self.test_accuracies)


def read_training_log(path: str | Path) -> TrainingLog:
    """Reads glog output of ``caffe train`` whose test outputs are called ``accuracy`` and ``loss``."""
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    losses: dict[int, float] = {}
    tests: dict[int, dict[str, float]] = {}
    test_iteration = None
    for line in text.splitlines():
        if match := _LOSS.search(line):
            losses[int(match[1])] = float(match[2])
        elif match := _TEST.search(line):
            test_iteration = int(match[1])
        elif (match := _TEST_OUTPUT.search(line)) and test_iteration is not None:
            tests.setdefault(test_iteration, {})[match[1]] = float(match[2])
    if not losses and not tests:
        raise UserError(f"{path}: no iterations in it; a log of `caffe train` was expected")
    iterations = sorted(losses)
    test_iterations = sorted(i for i, outputs in tests.items() if "accuracy" in outputs)
    return TrainingLog(
        np.array(iterations, dtype=int),
        np.array([losses[i] for i in iterations]),
        np.array(test_iterations, dtype=int),
        np.array([tests[i]["accuracy"] for i in test_iterations]),
        np.array([tests[i].get("loss", np.nan) for i in test_iterations]),
    )
