"""An output folder that appears whole or not at all."""

import errno
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Any

from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically

MANIFEST = "manifest.json"
WRITTEN_BY = "caffe-acu data"  # stands in every manifest under "written_by"
WORK = "work"  # in a resumable folder: whatever is of no use once it is whole
LOCK = "lock"  # gone from a whole folder
_JOB = f"{WORK}/job.json"


@contextmanager
def new_folder(out: Path, overwrite: bool) -> Iterator[Path]:
    """Gives an empty folder to fill; when the block ends it is flushed to disk and becomes ``out``.

    If the block raises, it is removed. A killed run cannot do that: its folder, ``.<name>.partial`` beside
    ``out``, is removed by the next run. An existing ``out`` is replaced at the end if ``overwrite``, and only
    if it holds a manifest of ours, so that no folder of anything else is lost; else it is a UserError.
    """
    with _publishing(out, overwrite, _emptied) as partial:
        yield partial


@contextmanager
def resumable_folder(out: Path, overwrite: bool, job: Mapping[str, Any], restart: bool) -> Iterator[Path]:
    """As :func:`new_folder`, but what an interrupted run left is kept and given to the next run of the same ``job``.

    ``job`` is what JSON can hold, and whatever makes a difference to the result. The folder ``work`` in it is
    removed in the end. Raises UserError if another job
    left its work there, unless ``restart``, which begins anew.
    """
    with _publishing(out, overwrite, lambda partial: _taken_up(partial, job, restart)) as partial:
        yield partial


@contextmanager
def _publishing(out: Path, overwrite: bool, prepared: Callable[[Path], AbstractContextManager[None]]) -> Iterator[Path]:
    out = out.resolve()
    partial, old = out.parent / f".{out.name}.partial", out.parent / f".{out.name}.old"
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        _require_replaceable(out, overwrite)  # before anything is made
        with prepared(partial):
            # Killed between the two renames below: the earlier data set is whole, but has lost its name.
            if old.exists() and not out.exists():
                old.rename(out)
            shutil.rmtree(old, ignore_errors=True)
            _require_replaceable(out, overwrite)
            yield partial
            _flush(partial)
            if out.exists():
                out.rename(old)
            partial.rename(out)
            _fsync(out.parent)
            # Not before: without it the next run could not go on, were this one killed here.
            shutil.rmtree(out / WORK, ignore_errors=True)
            (out / LOCK).unlink()
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise UserError(f"{out}: the disk is full: free some space, or choose another --out") from error
        raise UserError(f"{error.filename or out}: {error.strerror or error}: choose another --out") from error


def require_space(folder: Path, needed: int) -> None:
    """UserError if the file system of ``folder`` has less than ``needed`` bytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise UserError(
            f"{folder.parent}: needs {needed / 1e9:.2f} GB free, has {free / 1e9:.2f} GB: free some space, choose "
            "another --out, or take fewer images"
        )


def _require_replaceable(out: Path, overwrite: bool) -> None:
    if not out.exists():
        return
    if not overwrite:
        raise UserError(f"{out}: exists: choose another --out, or replace it with --overwrite")
    try:
        ours = json.loads((out / MANIFEST).read_bytes())["written_by"] == WRITTEN_BY
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        ours = False
    if not ours:
        raise UserError(f"{out}: is no data set of caffe-acu, so --overwrite does not replace it: move it away first")


@contextmanager
def _emptied(partial: Path) -> Iterator[None]:
    """Creates ``partial``, in place of a dead run's, and removes it when the block raises."""
    if partial.exists():
        # Only a lock tells a dead run from one at work; it ends with its process, however that ends.
        with _take_lock(partial):
            if (partial / _JOB).exists():
                raise UserError(
                    f"{partial}: holds the unfinished work of another command: finish or remove it, or choose another "
                    "--out"
                )
            shutil.rmtree(partial)
    partial.mkdir()
    with _take_lock(partial):
        try:
            yield
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise


@contextmanager
def _taken_up(partial: Path, job: Mapping[str, Any], restart: bool) -> Iterator[None]:
    """Creates ``partial``, or keeps what a run of the same job left in it; nothing is removed at the end."""
    wanted = json.loads(json.dumps(job))
    if partial.exists():
        with _take_lock(partial):
            left = _read_job(partial)
            if left is None or restart:
                shutil.rmtree(partial)
            elif left != wanted:
                key = next(key for key in (*wanted, *left) if wanted.get(key) != left.get(key))
                raise UserError(
                    f"{partial}: an interrupted run left its work there, with other options ({key}: "
                    f"{json.dumps(left.get(key))}): run that command again, or begin anew with --restart"
                )
    partial.mkdir(exist_ok=True)
    with _take_lock(partial):
        write_atomically(partial / _JOB, json.dumps(wanted, indent=2) + "\n")
        yield


def _read_job(partial: Path) -> dict[str, Any] | None:
    try:
        return json.loads((partial / _JOB).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # killed before there was any work to lose


def _take_lock(partial: Path) -> IO[bytes]:
    lock = (partial / LOCK).open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise UserError(f"{partial}: another run is writing there: wait for it, or choose another --out") from error
    return lock


def _flush(folder: Path) -> None:
    for path in folder.rglob("*"):
        _fsync(path)
    _fsync(folder)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
