"""Locks that end with the processes that hold them, however these end: nothing to be unlocked after a kill."""

import fcntl
import time
from collections.abc import Iterator
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
    except OSError as error:
        file.close()
        raise UserError(f"{path}: cannot be locked on this disk ({error.strerror}); use one with flock") from error
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
