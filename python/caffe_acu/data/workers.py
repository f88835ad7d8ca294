"""Functions in other processes, results in order, a bounded number of them under way."""

import ctypes
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

# Enough that no worker waits while the results of another are written, and few enough for the memory.
_TASKS_A_WORKER = 3
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_KEPT_BYTES = 256 << 20


class WorkerDied(Exception):
    """A worker ended without a result: killed, out of memory, or crashed."""


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def in_order(
    submit: Callable[[Task], "Future[Result]"], tasks: Iterable[Task], under_way: int
) -> Iterator[tuple[Task, Result]]:
    """Each task with its result, in the order of ``tasks``, at most ``under_way`` of them begun and not yielded.

    What was not begun is dropped when the iterator is closed, or when ``submit`` or a task raises.
    """
    waiting: deque[tuple[Task, Future[Result]]] = deque()
    try:
        for task in tasks:
            waiting.append((task, submit(task)))
            if len(waiting) >= under_way:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()
    finally:
        for _, future in waiting:
            future.cancel()


class Workers:
    """A context manager of ``count`` processes, each of which ran ``start(*arguments)`` first.

    Processes are spawned: a forked one would share this one's locks and open files, and would keep them if
    this one is killed. They leave interrupts to this process, and end when it ends, however that happens.
    """

    def __init__(self, count: int, start: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._count = count
        self._executor = ProcessPoolExecutor(count, context, _start_worker, (start, arguments))

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *_: object) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task]) -> Iterator[tuple[Task, Result]]:
        """Each task with its result, in the order of ``tasks``, which is read no further ahead than is of use.

        Raises what ``function`` raises, and WorkerDied.
        """
        try:
            yield from in_order(lambda task: self._submit(function, task), tasks, self._count * _TASKS_A_WORKER)
        except BrokenProcessPool as error:
            raise WorkerDied from error

    def _submit(self, function: Callable[[Task], Result], task: Task) -> Future:
        # This may start a worker, which inherits what is blocked for good: an interrupt would end it with a traceback.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._executor.submit(function, task)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def keep_memory() -> None:
    """Freed memory stays with this process, where the C library is glibc.

    Else large blocks come from the system for each batch anew, page by page, which costs more than using them.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        library.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _start_worker(start: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    keep_memory()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    start(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
