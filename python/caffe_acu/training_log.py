"""What ``caffe train`` wrote to its log (glog, on stderr), as arrays."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.errors import UserError

_NUMBER = r"([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))"
_TRAIN = re.compile(rf"\] Iteration (\d+)(?: \((?:.*, {_NUMBER}s/\d+ iters|.*)\))?, loss = {_NUMBER}$", re.IGNORECASE)
_RATE = re.compile(rf"\] Iteration (\d+), lr = {_NUMBER}$", re.IGNORECASE)
_START = re.compile(r"\] Solving ")
_TEST = re.compile(r"\] Iteration (\d+), Testing net \(#0\)$")
_OUTPUT = re.compile(rf"\]\s+Test net output #\d+: (\S+) = {_NUMBER}(?: \(.*\))?$", re.IGNORECASE)


@dataclass(frozen=True)
class TrainingLog:
    """The curves of a run. Test values that the net does not give are NaN."""

    iterations: np.ndarray  # (T,) where the training loss was displayed
    loss: np.ndarray  # (T,) averaged by Caffe over average_loss iterations
    rate: np.ndarray  # (T,) the learning rate
    seconds: np.ndarray  # (T,) since the value before, tests included; NaN for the first after every start
    test_iterations: np.ndarray  # (U,)
    test_accuracy: np.ndarray  # (U,) fraction between 0 and 1
    test_loss: np.ndarray  # (U,)

    @property
    def test_error(self) -> np.ndarray:
        """(U,) in percent."""
        return 100 * (1 - self.test_accuracy)

    @property
    def iteration_ms(self) -> np.ndarray:
        """(U,) milliseconds of an iteration, the mean of each stretch between two displays whose time is known."""
        stretches = np.diff(self.iterations, prepend=0)
        known = np.isfinite(self.seconds) & (stretches > 0)
        return 1e3 * self.seconds[known] / stretches[known]


def read_training_log(path: str | Path) -> TrainingLog:
    """Parses a log file; UserError if it cannot be read or holds no training."""
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            log = parse_training_log(lines)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not len(log.iterations) and not len(log.test_iterations):
        raise UserError(f"{path}: no iteration in it; the log (stderr) of caffe train was expected")
    return log


def parse_training_log(lines: Iterable[str], accuracy: str = "accuracy", loss: str = "loss") -> TrainingLog:
    """Parses the lines of a log; ``accuracy`` and ``loss`` are names of the test net's outputs.

    Where a resumed run repeats iterations the later values stand, so logs may be concatenated. Anything
    that Caffe or glog prints besides, and a last line that is cut short, is passed over.
    """
    training: dict[int, tuple[float, float]] = {}
    rates: dict[int, float] = {}
    tests: dict[int, dict[str, float]] = {}
    test_iteration = None
    starting = True
    for line in lines:
        line = line.rstrip()
        if match := _TRAIN.search(line):
            # After a start, Caffe counts from there and not from the display before.
            seconds = np.nan if starting or match[2] is None else float(match[2])
            training[int(match[1])] = float(match[3]), seconds
            starting = False
        elif _START.search(line):
            starting = True
        elif match := _RATE.search(line):
            rates[int(match[1])] = float(match[2])
        elif match := _TEST.search(line):
            test_iteration = int(match[1])
        elif (match := _OUTPUT.search(line)) and test_iteration is not None:
            tests.setdefault(test_iteration, {})[match[1]] = float(match[2])
    iterations, test_iterations = sorted(training), sorted(tests)
    return TrainingLog(
        iterations=np.array(iterations, dtype=np.int64),
        loss=np.array([training[i][0] for i in iterations], dtype=np.float64),
        rate=np.array([rates.get(i, np.nan) for i in iterations], dtype=np.float64),
        seconds=np.array([training[i][1] for i in iterations], dtype=np.float64),
        test_iterations=np.array(test_iterations, dtype=np.int64),
        test_accuracy=np.array([tests[i].get(accuracy, np.nan) for i in test_iterations], dtype=np.float64),
        test_loss=np.array([tests[i].get(loss, np.nan) for i in test_iterations], dtype=np.float64),
    )
