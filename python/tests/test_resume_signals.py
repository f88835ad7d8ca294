"""What `caffe train` does at signals, in training and in tests, and that it goes on from there exactly."""

import signal
import time
from pathlib import Path

import pytest

from resume_runs import ITERATIONS, complaints, finish, make_run, remove_snapshots, snapshot, snapshots, start, wait

LONG_TESTS = 400  # iterations of a test that lasts long enough for signals


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    folder = make_run(tmp_path_factory.mktemp("signals") / "whole", test_iter=LONG_TESTS)
    finish(folder)
    return folder


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "run", test_iter=LONG_TESTS)


def wait_for(folder: Path, words: str) -> None:
    end = time.monotonic() + 100
    while words not in (folder / "log").read_text():
        assert time.monotonic() < end
        time.sleep(0.005)


def signalled(folder: Path, moment: str, number: signal.Signals, *options: str) -> str:
    process = start(folder, "--resume", "auto", *options)
    wait_for(folder, moment)
    process.send_signal(number)
    return wait(process, folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", ["Iteration 7 (", "Iteration 30, Testing net"])
def test_a_stop(run, whole, number, moment):
    said = signalled(run, moment, number)
    assert "Optimization stopped early." in said and not complaints(said)
    stopped = snapshots(run)[-1]
    assert 7 <= stopped < ITERATIONS and len(snapshot(run, stopped)) == 3
    if "Testing" in moment:
        assert stopped == 30 and "Test interrupted." in said
    said = finish(run)
    assert f"going on from snapshots/run_iter_{stopped}.solverstate" in said
    assert snapshot(run) == snapshot(whole)


@pytest.mark.parametrize("moment", ["Iteration 7 (", "Iteration 15, Testing net"])
def test_sighup_makes_a_snapshot(run, whole, moment):
    """In a test too, of which the training that goes on from it knows nothing yet."""
    process = start(run)
    wait_for(run, moment)
    remove_snapshots(run)  # so that the one of the signal is seen
    process.send_signal(signal.SIGHUP)
    while not snapshots(run):
        time.sleep(0.005)
    process.kill()
    process.wait()
    finish(run)
    assert snapshot(run) == snapshot(whole)
    remove_snapshots(run)
    said = signalled(run, moment, signal.SIGHUP)
    assert "Optimization Done." in said
    assert snapshot(run) == snapshot(whole)


@pytest.mark.parametrize(
    ("number", "option", "stops"),
    [
        (signal.SIGINT, "--sigint_effect=snapshot", False),
        (signal.SIGTERM, "--sigint_effect=snapshot", False),
        (signal.SIGTERM, "--sigint_effect=none", False),
        (signal.SIGHUP, "--sighup_effect=stop", True),
        (signal.SIGHUP, "--sighup_effect=none", False),
    ],
)
def test_effects_are_chosen(run, whole, number, option, stops):
    said = signalled(run, "Iteration 17 (", number, option)
    assert ("Optimization stopped early." in said) == stops
    extra = [iteration for iteration in snapshots(run) if iteration % 5]
    if option.endswith("none"):
        assert not extra
    if stops:
        finish(run)
    assert snapshot(run) == snapshot(whole)


def test_both_at_once_and_again_and_again(run, whole):
    for iteration in (3, 16, 33):
        process = start(run)
        wait_for(run, f"Iteration {iteration} (")
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            process.send_signal(number)
        assert "stopped early" in wait(process, run)
    finish(run)
    assert snapshot(run) == snapshot(whole)
