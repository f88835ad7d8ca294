"""GPUs of this machine: whether they are there, and which run has which."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.experiments.run import caffe_program
from caffe_acu.reproduce.locks import try_lock

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Place:
    """A run's place on a GPU, and the descriptor of the lock that keeps it."""

    gpu: int
    lock: int


@contextmanager
def gpu_place(gpus: Sequence[int], runs_per_gpu: int) -> Iterator[Place]:
    """Waits for one of the places that GPUs have for runs, empty GPUs first. The block holds it.

    Places are the user's on this machine, so that several commands share them.
    """
    folder = Path(tempfile.gettempdir()) / f"caffe-acu-gpus-{os.getuid()}"
    while True:
        for number in range(runs_per_gpu):
            for gpu in gpus:
                if file := try_lock(folder / f"gpu{gpu}.{number}"):
                    with file:
                        yield Place(gpu, file.fileno())
                    return
        time.sleep(_POLL_SECONDS)


def require_gpus(gpus: Sequence[int], here: bool) -> None:
    """UserError if Caffe was built without GPUs or, where runs train ``here``, cannot use one of these."""
    for gpu in gpus:
        command = [str(caffe_program()), "device_query", "--gpu", str(gpu)]
        environment = {**os.environ, "GLOG_logtostderr": "1", "GLOG_minloglevel": "0"}
        answer = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
        if "CPU-only" in answer.stderr:
            raise UserError(
                f"--gpus {gpu}: this build of Caffe has no GPU passes: build it with scripts/setup.sh --cuda, or leave "
                "--gpus out"
            )
        if here and answer.returncode != 0:
            wrong = [line.partition("] ")[2] for line in answer.stderr.splitlines() if line.startswith("E")]
            raise UserError(f"--gpus {gpu}: cannot be used here: {(wrong or ['it wrote nothing'])[0]}")
