"""Locks that end with the processes that hold them, however these end: nothing to be unlocked after a kill."""

import fcntl
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from caffe_acu.errors import UserError

RUN_LOCK = ".lock"  # in a run's folder, held by whoever trains it
_POLL_SECONDS = 0.2


def try_lock(path: Path) -> IO[bytes] | None:
    """The locked file, which is to be kept open; None if another process has it. UserError if it cannot be made."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


@contextmanager
def locked(path: Path, taken: str, patience: float = 0) -> Iterator[IO[bytes]]:
    """Holds the lock ``path`` during the block; UserError(``taken``) if another has it for ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while (file := try_lock(path)) is None:
        if time.monotonic() >= deadline:
            raise UserError(taken)
        time.sleep(_POLL_SECONDS)
    with file:
        yield file


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock; nothing is made where there is no file."""
    with suppress(OSError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


@contextmanager
def gpu_slot(gpus: Sequence[int], runs_per_gpu: int) -> Iterator[int]:
    """Waits for one of the slots that GPUs have for runs, empty GPUs first, and gives the number of its GPU.

    Slots are the user's on this machine, so that several commands share them. The block holds it.
    """
    folder = Path(tempfile.gettempdir()) / f"caffe-acu-gpus-{os.getuid()}"
    while True:
        for slot in range(runs_per_gpu):
            for gpu in gpus:
                if file := try_lock(folder / f"gpu{gpu}.{slot}"):
                    with file:
                        yield gpu
                    return
        time.sleep(_POLL_SECONDS)
