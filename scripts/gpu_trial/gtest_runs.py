"""Runs the tests of a gtest program so that neither a crash, a hang nor the end of the time loses what was found."""

import contextlib
import json
import os
import re
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from caffe_acu.net_param import write_atomically

OK, FAILED, CRASHED, TIMED_OUT = "ok", "failed", "crashed", "timed out"
_RUN = re.compile(r"^\[ RUN      \] (\S+)$")
_END = re.compile(r"^\[ +(OK|FAILED) +\] ([^\s,]+).*\((\d+) ms\)$")
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 150.0  # with one test
_KEPT_LINES = 25  # of what a failed test says

Commander = Callable[[str], list[str]]  # from a gtest filter to a command


@dataclass
class TestRuns:
    """Results of tests, by name, kept in a JSON file."""

    __test__ = False  # to pytest

    path: Path
    results: dict[str, dict[str, object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.path.is_file():
            self.results = json.loads(self.path.read_text())

    def counts(self) -> dict[str, int]:
        return dict(Counter(str(result["status"]) for result in self.results.values()))

    def bad(self) -> dict[str, dict[str, object]]:
        return {name: result for name, result in self.results.items() if result["status"] != OK}

    def save(self) -> None:
        write_atomically(self.path, json.dumps(self.results, indent=0) + "\n")


@dataclass(frozen=True)
class Batch:
    """What one process did: results of its tests, all that it printed, and its exit status (None: killed)."""

    results: dict[str, dict[str, object]]
    output: str
    status: int | None


def list_tests(command: Sequence[str], folder: Path) -> list[str]:
    """Names of the tests that the command, a gtest program with its filter, would run."""
    listed = subprocess.run(
        [*command, "--gtest_list_tests"], cwd=folder, capture_output=True, text=True, timeout=120, check=True
    )
    names, suite = [], ""
    for line in listed.stdout.splitlines():
        name = line.partition("#")[0].rstrip()
        if line.startswith("  "):
            names.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return names


def run_tests(
    runs: TestRuns,
    names: Sequence[str],
    commander: Commander,
    folder: Path,
    deadline: float | None,
    batch_size: int,
    judge: Callable[[Batch], bool] = lambda batch: True,
    environment: Mapping[str, str] | None = None,
) -> bool:
    """Runs those of ``names`` that have no result yet, ``batch_size`` to a process; returns whether all have one.

    ``judge`` may look at a process's output and add to its results; where it returns false, nothing more is run.
    """
    while left := [name for name in names if name not in runs.results]:
        if deadline is not None and time.monotonic() >= deadline:
            return False
        batch = _run_batch(commander(":".join(left[:batch_size])), folder, deadline, environment)
        go_on = judge(batch)
        runs.results |= batch.results
        runs.save()
        print(f"{len(names) - len(left) + len(batch.results)} of {len(names)} tests", flush=True)
        if not go_on:
            return False
        if not batch.results and batch.status is not None:
            # It ended before its first test: the rest would too.
            last = batch.output.strip().splitlines()[-1:] or ["it said nothing"]
            raise RuntimeError(f"the test program ended with {batch.status}: {last[0]}")
    return True


def _run_batch(
    command: Sequence[str], folder: Path, deadline: float | None, environment: Mapping[str, str] | None
) -> Batch:
    process = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    reader = _Reader()
    try:
        while process.poll() is None:
            reader.feed(_read(process))
            now = time.monotonic()
            if reader.running and now - reader.since > _PATIENCE_SECONDS:
                reader.end(TIMED_OUT)
                break
            if deadline is not None and now >= deadline:
                reader.running = ""  # it gets another chance
                break
            time.sleep(_POLL_SECONDS)
        killed = process.poll() is None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        reader.feed(_read(process))
        process.stdout.close()
    if not killed and reader.running:
        reader.end(CRASHED)
    return Batch(reader.results, reader.output, None if killed else process.returncode)


def _read(process: subprocess.Popen) -> str:
    assert process.stdout is not None
    return (process.stdout.read() or b"").decode(errors="replace")


class _Reader:
    """Follows what gtest prints."""

    def __init__(self) -> None:
        self.results: dict[str, dict[str, object]] = {}
        self.output = ""
        self.running = ""
        self.since = time.monotonic()
        self._rest = ""
        self._lines: list[str] = []

    def feed(self, text: str) -> None:
        self.output += text
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if match := _RUN.match(line):
                self.running, self.since, self._lines = match[1], time.monotonic(), []
            elif (match := _END.match(line)) and match[2] == self.running:
                self.results[match[2]] = {"status": OK if match[1] == "OK" else FAILED, "ms": int(match[3])}
                if match[1] != "OK":
                    self.results[match[2]]["output"] = self._lines[:_KEPT_LINES]
                self.running = ""
            elif self.running:
                self._lines.append(line)

    def end(self, status: str) -> None:
        """Of the test that is running."""
        milliseconds = int(1e3 * (time.monotonic() - self.since))
        self.results[self.running] = {"status": status, "ms": milliseconds, "output": self._lines[-_KEPT_LINES:]}
        self.running = ""
