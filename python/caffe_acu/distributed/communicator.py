"""What the processes of a training say to each other: caffe_acu/parallel/communicator.hpp, in Python."""

import json
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from caffe_acu.errors import UserError

if TYPE_CHECKING:
    from mpi4py import MPI

_PIECE = 1 << 30  # bytes of a broadcast at a time; MPI counts in int


class Timing:
    """What an iteration took, as a line of JSON each: iteration, seconds, communication_seconds, bytes.

    Seconds are from the begin of an iteration to that of the next, tests and snapshots included; of communication,
    those in which the solver waits. Bytes are those of gradient, loss and signals that this rank gives to sums. A full
    disk ends the measurement with a line, not the training.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file: TextIO | None = path.open("w", encoding="utf-8")
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        self._iteration: int | None = None
        self.waited, self.bytes = 0.0, 0

    def begin_iteration(self, iteration: int) -> None:
        now = time.perf_counter()
        if self._iteration is not None:
            took = {"iteration": self._iteration, "seconds": now - self._begin}
            took |= {"communication_seconds": self.waited, "bytes": self.bytes}
            self._write(json.dumps(took) + "\n")
        self._iteration, self._begin = iteration, now
        self.waited, self.bytes = 0.0, 0

    def _write(self, line: str) -> None:
        if self._file is None:
            return
        try:
            self._file.write(line)
            self._file.flush()
        except OSError as error:
            words = f"{self._path}: cannot be written: {error.strerror}; no more times will be"
            print(f"caffe-acu train: {words}", file=sys.stderr, flush=True)
            self._file = None


class Alone:
    """A single process, which has nobody to talk to."""

    rank, size = 0, 1

    def __init__(self, timing: Timing | None = None) -> None:
        self._timing = timing

    def begin_iteration(self, iteration: int) -> None:
        if self._timing:
            self._timing.begin_iteration(iteration)

    def start_sum(self, values: memoryview) -> None:
        pass

    def finish(self) -> None:
        pass

    def broadcast(self, data: memoryview) -> None:
        pass


class Ranks(Alone):
    """The processes of an MPI communicator. All that is sent goes through one thread, in order, while others compute.

    ``timeout``: seconds to wait for the other ranks, after which UserError says so.
    """

    def __init__(self, comm: "MPI.Comm", timeout: float, timing: Timing | None = None) -> None:
        super().__init__(timing)
        from mpi4py import MPI

        self._comm, self._timeout = comm, timeout
        self.rank, self.size = comm.rank, comm.size
        self._types = {"f": MPI.FLOAT, "d": MPI.DOUBLE}
        self._in_place, self._bytes = MPI.IN_PLACE, MPI.BYTE
        self._thread = ThreadPoolExecutor(1)
        self._begun: list[Future] = []

    def start_sum(self, values: memoryview) -> None:
        if self._timing:
            self._timing.bytes += values.nbytes
        receive = [values, self._types[values.format]]
        self._begun.append(self._thread.submit(self._comm.Allreduce, self._in_place, receive))

    def finish(self) -> None:
        begin = time.perf_counter()
        begun, self._begun = self._begun, []
        for sum_ in begun:
            self._wait(sum_)
        if self._timing:
            self._timing.waited += time.perf_counter() - begin

    def broadcast(self, data: memoryview) -> None:
        for begin in range(0, data.nbytes, _PIECE):
            piece = [data[begin : begin + _PIECE], self._bytes]
            self._wait(self._thread.submit(self._comm.Bcast, piece))

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """A collective call of MPI, in its turn."""
        return self._wait(self._thread.submit(function, *arguments))

    def close(self) -> None:
        self._thread.shutdown()

    def _wait(self, sent: Future) -> Any:
        try:
            return sent.result(self._timeout)
        except FutureTimeout:
            raise UserError(
                f"the other ranks have not answered for {self._timeout:g} seconds; the job ends. If they are only "
                "slow, in a test or a snapshot say, give --timeout more"
            ) from None
