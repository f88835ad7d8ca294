"""One training run: a folder from which ``caffe train`` starts, and goes on where it was interrupted."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from caffe_acu.caffe_proto import build_folder, caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import describe_environment
from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.training_log import TrainingLog, read_training_log

_STATE = re.compile(r"_iter_(\d+)\.solverstate$")
_ITERATION = re.compile(r"solver\.cpp:\d+\] Iteration (\d+) \(")


def caffe_program() -> Path:
    """The ``caffe`` that was built together with the messages in use; UserError if it is not there."""
    built = build_folder() / "bin" / "caffe"
    found = built if built.is_file() else shutil.which("caffe")
    if not found:
        raise UserError("the program `caffe` is not there: build it (scripts/setup.sh), or add it to PATH")
    return Path(found)


@dataclass
class Run:
    """A run in ``folder``: prototxts, ``env.json``, ``train.log``, ``snapshots/``, and a file DONE at the end."""

    name: str
    folder: Path
    max_iter: int
    _process: subprocess.Popen | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / "train.log"

    @property
    def done(self) -> bool:
        return (self.folder / "DONE").is_file()

    def write(self, net: Message, solver: "caffe_pb2.SolverParameter") -> None:
        """Writes the prototxts. The solver's paths are replaced by those of the run's folder."""
        solver.net = "train_val.prototxt"
        solver.snapshot_prefix = f"snapshots/{self.name}"
        (self.folder / "snapshots").mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "train_val.prototxt", format_prototxt(net))
        write_atomically(self.folder / "solver.prototxt", format_prototxt(solver))

    def snapshots(self) -> list[Path]:
        """Weights by increasing iteration."""
        paths = (self.folder / "snapshots").glob("*_iter_*.caffemodel")
        return sorted(paths, key=lambda path: int(path.stem.rpartition("_")[2]))

    def start(self, threads: int, gpu: int | None = None) -> None:
        """Starts ``caffe train``, on a GPU or the CPU, from the last snapshot if there is one."""
        command = [str(caffe_program()), "train", "--solver", "solver.prototxt"]
        if gpu is not None:
            command += ["--gpu", str(gpu)]
        states = [
            (int(match[1]), path)
            for path in (self.folder / "snapshots").iterdir()
            if (match := _STATE.search(path.name))
        ]
        if states:
            command += ["--snapshot", str(max(states)[1].relative_to(self.folder))]
        else:
            self.log_path.unlink(missing_ok=True)  # of a run that left no snapshot to go on from
            write_atomically(self._environment_path, json.dumps(describe_environment(), indent=2) + "\n")
        environment = {
            **os.environ,
            "CAFFE_ACU_THREADS": str(threads),
            "GLOG_logtostderr": "1",  # the log that is parsed
            "GLOG_minloglevel": "0",
        }
        with self.log_path.open("ab") as log:
            # A session of its own: an interrupt from the keyboard reaches it once, through stop().
            self._process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def poll(self) -> bool:
        """True once training has ended; UserError, with Caffe's own words, if it failed."""
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return False
        if code != 0:
            raise UserError(f"{self.log_path}: caffe train failed ({code}): {self._last_words()}")
        write_atomically(self.folder / "DONE", f"{self.max_iter} iterations\n")
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
        if not self.log_path.exists():
            return 0
        with self.log_path.open("rb") as log:
            log.seek(max(0, self.log_path.stat().st_size - 20_000))
            found = _ITERATION.findall(log.read().decode(errors="replace"))
        return int(found[-1]) if found else 0

    def environment(self) -> dict[str, Any]:
        """Commit, hardware and date of the run's beginning."""
        return json.loads(self._environment_path.read_text())

    @property
    def _environment_path(self) -> Path:
        return self.folder / "env.json"

    def log(self) -> TrainingLog:
        return read_training_log(self.log_path)

    def _last_words(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()
        # glog marks a fatal line with F, and one of a mistake in a prototxt with E, which says more.
        for mark in ("E", "F"):
            for line in lines:
                if re.match(rf"{mark}\d{{8}} ", line):
                    return line.partition("] ")[2]
        return lines[-1] if lines else "it wrote nothing"
