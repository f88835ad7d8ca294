"""Snapshots that cannot be written: a full disk, files that may not grow, a folder that is gone."""

import resource
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from resume_runs import ITERATIONS, complaints, finish, make_run, parts, snapshot, snapshots, start, wait

EVERY = 5  # iterations between snapshots
FORMATS = {"binary": "", "HDF5": "snapshot_format: HDF5"}


@pytest.fixture(params=FORMATS)
def more(request) -> str:
    return FORMATS[request.param]


@pytest.fixture
def whole(tmp_path, more) -> Path:
    folder = make_run(tmp_path / "whole", more=more)
    finish(folder)
    return folder


def assert_told(said: str, iterations: list[int]) -> None:
    """A line for each snapshot that was not written, and one for the last, with which the program ends."""
    lines = complaints(said)
    goes_on = "no snapshot at iteration {}, those before it stay, the training goes on: "
    assert len(lines) == len(iterations) + 1
    assert all(line.startswith(goes_on.format(i)) for i, line in zip(iterations, lines, strict=False))
    assert lines[-1].startswith(f"snapshots/run_iter_{ITERATIONS}.")
    assert "***" not in said  # no stack trace


def test_files_that_may_not_grow(tmp_path, whole, more):
    run = make_run(tmp_path / "run", iterations=20, more=more)
    finish(run)
    solver = run / "solver.prototxt"
    solver.write_text(solver.read_text().replace("max_iter: 20", f"max_iter: {ITERATIONS}"))
    resource_limit = (2000, 2000)  # bytes; what the program says goes to a pipe, which is no file
    process = start(
        run,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, resource_limit),
    )
    said = process.communicate(timeout=100)[1]
    assert process.returncode == 1
    assert_told(said, list(range(25, ITERATIONS + 1, EVERY)))
    assert "File too large" in said
    assert snapshots(run) == [5, 10, 15, 20] and not parts(run)
    finish(run)
    assert snapshot(run) == snapshot(whole)


def test_a_full_disk(tmp_path, whole, more):
    run = make_run(tmp_path / "run", more=more)
    written = list((whole / "snapshots").glob(f"run_iter_{EVERY}.*"))
    pages = sum(-(-path.stat().st_size // 4096) for path in written)
    kept = 3
    with small_disk(run / "snapshots", 4096 * (pages * kept + pages // 2)):
        said = finish(run, code=1)
        written = snapshots(run)
        assert written == list(range(EVERY, EVERY * kept + 1, EVERY)) and not parts(run)
        assert_told(said, list(range(EVERY * (kept + 1), ITERATIONS + 1, EVERY)))
        assert "No space left on device" in said
        for iteration in written:
            assert snapshot(run, iteration) == snapshot(whole, iteration)
        mount(run / "snapshots", "remount,size=100m")
        assert "going on from" in finish(run)
        assert snapshot(run) == snapshot(whole)


@pytest.mark.parametrize("how", ["gone", "read-only"])
def test_a_folder_that_is_gone_for_a_while(tmp_path, whole, more, how):
    run = make_run(tmp_path / "run", iterations=600, more=more)
    folder = run / "snapshots"
    with small_disk(folder, 1 << 26) if how == "read-only" else nullcontext():
        process = start(run)
        while len(snapshots(run)) < 2:
            assert process.poll() is None
            time.sleep(0.002)
        with paused(process):
            mount(folder, "remount,ro") if how == "read-only" else folder.rename(run / "elsewhere")
        while "no snapshot at iteration" not in (run / "log").read_text():
            assert process.poll() is None
            time.sleep(0.002)
        with paused(process):
            mount(folder, "remount,rw") if how == "read-only" else (run / "elsewhere").rename(folder)
        said = wait(process, run)
        missing = [int(line.split(",")[0].split()[-1]) for line in complaints(said)]
        assert missing and sorted({*snapshots(run), *missing}) == list(range(EVERY, 601, EVERY))
        assert 600 in snapshots(run) and not parts(run)
        for iteration in snapshots(run):
            if iteration <= ITERATIONS:
                assert snapshot(run, iteration) == snapshot(whole, iteration)


@contextmanager
def paused(process: subprocess.Popen) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    yield
    process.send_signal(signal.SIGCONT)


def mount(folder: Path, options: str) -> None:
    """A disk in memory; the test is skipped where nothing may be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip("nothing may be mounted here")


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    mount(folder, f"size={size}")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)
