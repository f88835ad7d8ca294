"""One training run: a folder from which ``caffe train`` starts, and goes on where it was interrupted."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from caffe_acu.caffe_proto import build_folder, caffe_pb2
from caffe_acu.child_processes import at_parents_end
from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import describe_environment
from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.training_log import TrainingLog, read_training_log

TRAIN_VAL, SOLVER = "train_val.prototxt", "solver.prototxt"
_STATE = re.compile(r"_iter_(\d+)\.solverstate$")
_ITERATION = re.compile(r"solver\.cpp:\d+\] Iteration (\d+) \(")
_STOPPED = "Optimization stopped early."
_INTERRUPT_AT_PARENTS_END = at_parents_end(signal.SIGINT)


def caffe_program() -> Path:
    """The ``caffe`` that was built together with the messages in use; UserError if it is not there."""
    built = build_folder() / "bin" / "caffe"
    found = built if built.is_file() else shutil.which("caffe")
    if not found:
        raise UserError("the program `caffe` is not there: build it (scripts/setup.sh), or add it to PATH")
    return Path(found)


@dataclass
class Run:
    """A run in ``folder``: prototxts, ``env.json``, ``train.log``, ``snapshots/``, and a file DONE at the end.

    Attributes:
        marker: the file that says that training has ended.
        details: what stands in ``env.json`` beside the environment.
    """

    name: str
    folder: Path
    max_iter: int
    marker: str = "DONE"
    details: Mapping[str, Any] = field(default_factory=dict)
    _process: subprocess.Popen | None = None
    _log_begin: int = 0  # where the log of this start begins, in bytes

    @property
    def log_path(self) -> Path:
        return self.folder / "train.log"

    @property
    def done(self) -> bool:
        return (self.folder / self.marker).is_file()

    @property
    def start_weights(self) -> Path:
        """What training begins with, if it is there; else with random weights."""
        return self.folder / "start.caffemodel"

    def write(self, net: Message, solver: "caffe_pb2.SolverParameter") -> None:
        """Writes the prototxts. The solver's paths are replaced by those of the run's folder."""
        solver.net = TRAIN_VAL
        solver.snapshot_prefix = f"snapshots/{self.name}"
        (self.folder / "snapshots").mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / TRAIN_VAL, format_prototxt(net))
        write_atomically(self.folder / SOLVER, format_prototxt(solver))

    def snapshots(self) -> list[Path]:
        """Weights by increasing iteration."""
        paths = (self.folder / "snapshots").glob("*_iter_*.caffemodel")
        return sorted(paths, key=lambda path: int(path.stem.rpartition("_")[2]))

    def states(self) -> list[tuple[int, Path]]:
        """Solver states with their iterations, which increase; one is written after its weights."""
        paths = (self.folder / "snapshots").glob("*_iter_*.solverstate")
        return sorted((int(match[1]), path) for path in paths if (match := _STATE.search(path.name)))

    def start(self, threads: int, gpus: Sequence[int] = (), held: Sequence[int] = ()) -> None:
        """Starts ``caffe train``, on GPUs or the CPU, from the last good snapshot if there is one.

        ``held``: descriptors of locks, which training then holds as well. Should this process be killed, training is
        interrupted as by :meth:`stop`.
        """
        command = [str(caffe_program()), "train", "--solver", SOLVER, "--resume", "auto"]
        if gpus:
            command += ["--gpu", ",".join(map(str, gpus))]
        if self.start_weights.is_file():
            command += ["--weights", self.start_weights.name]
        if not self.states():
            self.log_path.unlink(missing_ok=True)  # of a run that left no snapshot to go on from
            environment = {**describe_environment(), **self.details}
            write_atomically(self._environment_path, json.dumps(environment, indent=2) + "\n")
        variables = {
            **os.environ,
            "CAFFE_ACU_THREADS": str(threads),
            "GLOG_logtostderr": "1",  # the log that is parsed
            "GLOG_minloglevel": "0",
        }
        with self.log_path.open("ab") as log:
            self._log_begin = log.tell()
            # A session of its own: an interrupt from the keyboard reaches it once, through stop().
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                env=variables,
                start_new_session=True,
                pass_fds=held,
                preexec_fn=_INTERRUPT_AT_PARENTS_END,
            )

    def poll(self) -> bool:
        """True once training has ended; UserError, with Caffe's own words, if it failed."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            killed = "; was memory short?" if code == -signal.SIGKILL else ""
            raise UserError(f"{self.log_path}: caffe train failed ({code}{killed}): {self._last_words()}")
        if _STOPPED in self._tail():  # Caffe calls that a success
            raise UserError(f"{self.log_path}: somebody interrupted caffe train; the same command goes on")
        write_atomically(self.folder / self.marker, f"{self.max_iter} iterations\n")
        return True

    def wait(self, seconds: float) -> None:
        """Returns when training has ended, or after that time."""
        assert self._process is not None
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def stop(self) -> None:
        """Interrupts a run in progress, which then writes a snapshot to go on from, and waits for it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()

    def iteration(self) -> int:
        """The last iteration in the log."""
        found = _ITERATION.findall(self._tail())
        return int(found[-1]) if found else 0

    def _tail(self) -> str:
        """The end of the log, since its last start."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - 20_000))
            return log.read().decode(errors="replace").rpartition("] Solving ")[2]

    def environment(self) -> dict[str, Any]:
        """Commit, hardware and date of the run's beginning."""
        return json.loads(self._environment_path.read_text())

    @property
    def _environment_path(self) -> Path:
        return self.folder / "env.json"

    def log(self) -> TrainingLog:
        return read_training_log(self.log_path)

    def _last_words(self) -> str:
        with self.log_path.open("rb") as log:
            log.seek(self._log_begin)  # what stopped an earlier start is no reason any more
            lines = log.read().decode(errors="replace").splitlines()
        # glog marks an error with E; the last of several is the one that ended the training.
        for line in reversed(lines):
            if re.match(r"E\d{8} ", line):
                return line.partition("] ")[2]
        return lines[-1] if lines else "it wrote nothing"
