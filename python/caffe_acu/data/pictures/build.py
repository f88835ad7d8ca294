"""Files of a split into its LMDB, by several processes, to be interrupted and taken up at any time.

Records, and how far the work has come, change in one transaction of the LMDB, which a killed process or a
power cut leaves either done or not begun. The table of records beside it is cut back to what the transaction says.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import lmdb

from caffe_acu.data.pictures.file_list import FileList
from caffe_acu.data.pictures.options import RecordOptions, RunOptions
from caffe_acu.data.pictures.record_maker import TASK_FILES, Batch, File, make_records, start_maker
from caffe_acu.data.pictures.state import STATE_KEY, State
from caffe_acu.data.progress import progress
from caffe_acu.data.records import Record, key_of_index, line_of, table_name
from caffe_acu.data.workers import WorkerDied, Workers, available_cores
from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically

# What is lost at most when interrupted: about a second of work.
_COMMIT_BYTES = 32 << 20
_REOPEN_BYTES = 2 << 30
# So many files that cannot be used mean that something else is wrong than the files.
_MAX_REFUSED = 1000


@dataclass(frozen=True)
class Job:
    """One split to be written below ``folder``."""

    folder: Path
    split: str
    files: FileList
    options: RecordOptions
    with_sums: bool  # whether the mean of this split is wanted


def build_split(job: Job, run: RunOptions) -> State:
    """Writes ``<split>_lmdb`` and its table, or what of it is still missing; returns how it ended.

    Files that failed earlier are tried again. Raises UserError if the disk is full or a worker died; what was
    done by then stays for the next call.
    """
    path = _database(job.folder, job.split)
    # Not what it takes but what it may: LMDB reserves addresses, and the file grows as it is written.
    room = (job.options.size**2 * 3 + 2 * 4096) * len(job.files) + (64 << 20)
    with _explained(path), _Database(path, room) as database:
        return _Writer(job, run, database).write()


class _Database:
    """An LMDB being written, as a context manager."""

    def __init__(self, path: Path, room: int) -> None:
        self._path, self._room = path, room
        self._written = 0

    def __enter__(self) -> "_Database":
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self._environment.close()

    def _open(self) -> None:
        self._environment = lmdb.open(str(self._path), map_size=self._room, lock=False)

    def begin(self, write: bool = False) -> lmdb.Transaction:
        return self._environment.begin(write=write)

    def wrote(self, size: int) -> None:
        """After a transaction. What LMDB maps of its file counts as this process's memory; closing lets go of it."""
        self._written += size
        if self._written >= _REOPEN_BYTES:
            self._environment.close()
            self._open()
            self._written = 0


def seal_split(folder: Path, split: str, mended: bool) -> None:
    """Takes the state out of a finished LMDB; ``mended``: its table has to be put in order. May be repeated."""
    database = _database(folder, split)
    with (
        _explained(database),
        # Room for the pages that the deletion changes.
        lmdb.open(str(database), map_size=_file_size(database) + (16 << 20), lock=False) as environment,
        environment.begin(write=True) as transaction,
    ):
        transaction.delete(STATE_KEY)
    if mended:
        table = folder / table_name(split)
        write_atomically(table, b"".join(sorted(table.read_bytes().splitlines(keepends=True))))


def _database(folder: Path, split: str) -> Path:
    return folder / f"{split}_lmdb"


def _file_size(database: Path) -> int:
    return (database / "data.mdb").stat().st_size


@contextmanager
def _explained(database: Path) -> Iterator[None]:
    again = "then run the same command again; it goes on where it stopped"
    try:
        yield
    except lmdb.Error as error:
        raise UserError(f"{database}: cannot be written ({error}): free some space, {again}") from error
    except WorkerDied as error:
        raise UserError(
            f"{database}: a worker process died, perhaps for want of memory: choose fewer --workers, {again}"
        ) from error


class _Writer:
    def __init__(self, job: Job, run: RunOptions, database: _Database) -> None:
        self._job = job
        self._run = run
        self._database = database
        with database.begin() as transaction:
            stored = transaction.get(STATE_KEY)
        self._state = State.load(stored) if stored else State(job.options.size)
        self._table = job.folder / table_name(job.split)

    def write(self) -> State:
        state = self._state
        if state.kept and self._run.damaged != "keep":
            raise UserError(
                f"{self._job.folder}: an interrupted run with --damaged keep kept {len(state.kept):,} damaged files: "
                "go on with --damaged keep, or begin anew with --restart"
            )
        if state.done == len(self._job.files) and not state.failed:
            return state
        before = state.done - len(state.failed)
        workers = self._run.workers or available_cores()
        keep = self._run.damaged == "keep"
        arguments = (self._job.files.containers, self._job.options, keep, self._job.with_sums)
        with (
            self._table.open("ab") as table,
            progress(f"writing {self._job.split}_lmdb", len(self._job.files), done=before) as bar,
            Workers(workers, start_maker, *arguments) as pool,
        ):
            if table.tell() < state.table_bytes:
                raise UserError(f"{self._table}: shorter than what was written: begin anew with --restart")
            table.truncate(state.table_bytes)
            table.seek(state.table_bytes)
            waiting: list[Batch] = []
            waiting_bytes = waiting_failed = 0
            done = state.done
            for task, batch in pool.map(make_records, self._tasks()):
                waiting.append(batch)
                waiting_bytes += batch.bytes
                waiting_failed += len(batch.failed)
                done = max(done, task[-1].index + 1)
                bar.update(len(task))
                if waiting_bytes >= _COMMIT_BYTES or waiting_failed >= _MAX_REFUSED:
                    self._commit(waiting, done, table)
                    self._database.wrote(waiting_bytes)
                    waiting, waiting_bytes, waiting_failed = [], 0, 0
                    if self._run.damaged == "refuse" and len(state.failed) >= _MAX_REFUSED:
                        return state
            self._commit(waiting, done, table)
        return state

    def _tasks(self) -> Iterator[list[File]]:
        indices = [*sorted(self._state.failed), *range(self._state.done, len(self._job.files))]
        files = self._job.files
        for begin in range(0, len(indices), TASK_FILES):
            part = indices[begin : begin + TASK_FILES]
            yield [File(i, files.name(i), files.place(i), int(files.labels[i])) for i in part]

    def _commit(self, batches: list[Batch], done: int, table: IO[bytes]) -> None:
        state, files = self._state, self._job.files
        with self._database.begin(write=True) as transaction:
            lines = []
            for batch in batches:
                rest = memoryview(batch.records)
                for made in batch.made:
                    key = key_of_index(made.index)
                    transaction.put(key, rest[: made.size])
                    rest = rest[made.size :]
                    record = Record(key, int(files.labels[made.index]), made.digest, files.name(made.index))
                    lines.append(line_of(record))
                    state.mended |= state.failed.pop(made.index, None) is not None
                state.failed.update(batch.failed)
                state.kept.update(batch.kept)
                state.remarks.update(batch.remarks)
                if batch.pixel_sum is not None:
                    state.pixel_sum += batch.pixel_sum
                    state.square_sum += batch.square_sum
            # Before the transaction ends: the table may be ahead of the LMDB, never behind.
            table.write(b"".join(lines))
            table.flush()
            os.fsync(table.fileno())
            state.done = done
            state.table_bytes = table.tell()
            transaction.put(STATE_KEY, state.dump())
