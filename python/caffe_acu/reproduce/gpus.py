"""GPUs of this machine: whether they are there, and which run has which."""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.experiments.run import caffe_program
from caffe_acu.reproduce.locks import try_lock

_POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Place:
    """A run's place on one GPU or several, and the descriptors of the locks that keep it."""

    gpus: tuple[int, ...]
    locks: tuple[int, ...]


@contextmanager
def gpu_place(gpus: Sequence[int], runs_per_gpu: int, gpus_per_run: int = 1) -> Iterator[Place]:
    """Waits until as many GPUs as a run needs have a place for it, empty GPUs first. The block holds these places.

    Places are the user's on this machine, so that several commands share them. Who finds too few keeps none. UserError
    if there are fewer GPUs than the run needs.
    """
    if len(gpus) < gpus_per_run:
        raise UserError(f"--gpus names {len(gpus)}, and the run was prepared with --gpus-per-run {gpus_per_run}")
    folder = Path(tempfile.gettempdir()) / f"caffe-acu-gpus-{os.getuid()}"
    while True:
        for number in range(runs_per_gpu):
            with ExitStack() as stack:
                held: dict[int, int] = {}
                for gpu in gpus:
                    if len(held) < gpus_per_run and (file := try_lock(folder / f"gpu{gpu}.{number}")):
                        held[gpu] = stack.enter_context(file).fileno()
                if len(held) == gpus_per_run:
                    yield Place(tuple(held), tuple(held.values()))
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
