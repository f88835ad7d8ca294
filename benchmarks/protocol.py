"""Worker processes that answer one request at a time: JSON lines on stdin and stdout. Standard library only.

A request is ``{"op": name, ...arguments}``; the answer ``{"result": ...}``, or ``{"refused": reason}`` where a
candidate cannot be measured, which is a line in the report and no failure.
"""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

Handler = Callable[..., Any]


class Refused(Exception):
    """The candidate cannot be measured here; the text says why, in a line."""


class WorkerError(Exception):
    """A worker has ended, or could not be started."""


def serve(handlers: Mapping[str, Handler]) -> None:
    """Answers requests until stdin ends. Whatever else is printed meanwhile goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": handlers[request.pop("op")](**request)}
        except Refused as reason:
            answer = {"refused": str(reason)}
        answers.write(json.dumps(answer) + "\n")


def seconds_per_call(call: Callable[[], object], repeats: int) -> float:
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


def last_words(errors: bytes) -> str:
    """The line of a program's standard error that says why it ended."""
    lines = errors.decode(errors="replace").strip().splitlines()
    # How glog marks an error; of Caffe's programs the last ends them, of a stock Caffe's the one with F.
    errors = [line for line in lines if line[:1] in ("E", "F") and "] " in line]
    return errors[-1].partition("] ")[2] if errors else lines[-1] if lines else "it said nothing"


class Worker:
    """The side that asks."""

    def __init__(self, name: str, command: Sequence[str | Path], environment: Mapping[str, str]) -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=dict(environment),
                text=True,
            )
        except OSError as error:
            raise WorkerError(f"{name}: {command[0]} cannot be started: {error.strerror}") from error

    def ask(self, op: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the missing answer says it
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            raise WorkerError(f"the {self.name} worker ended with {self._process.returncode}: {self._last_words()}")
        answer = json.loads(line)
        if "refused" in answer:
            raise Refused(answer["refused"])
        return answer["result"]

    def _last_words(self) -> str:
        self._errors.seek(0)
        return last_words(self._errors.read())

    def close(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()
        self._errors.close()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
