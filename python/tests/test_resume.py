"""A training that is killed at any moment and taken up again ends with the bits of one that never was."""

import random
import time
from pathlib import Path

import pytest

from resume_runs import ITERATIONS, finish, make_run, parts, remove_snapshots, snapshot, snapshots, start, wait

KILLS = 20
RUNS = {
    "in order": {},
    "shuffled": {"data": "shuffle: true prefetch: 1"},
    "two data layers, Adam": {
        "data": "prefetch: 7",
        "second": True,
        "more": 'type: "Adam" momentum2: 0.999',
    },
    "HDF5, AdaDelta": {
        "data": "shuffle: true shuffle_seed: 8",
        "more": 'snapshot_format: HDF5 type: "AdaDelta" delta: 1e-6',
    },
}


@pytest.mark.parametrize("kind", RUNS)
def test_twenty_kills_at_random_moments(tmp_path, kind):
    """Some before the first iteration, most of them in training, its tests and snapshots."""
    last = 200
    whole, killed = (make_run(tmp_path / name, iterations=last, **RUNS[kind]) for name in ("whole", "killed"))
    process = start(whole)
    before = seconds_until_training(whole)
    begin = time.monotonic()
    wait(process, whole)
    seconds = time.monotonic() - begin
    draw = random.Random(kind)
    kills, gone_on = 0, 0
    while kills < KILLS:
        gone_on += bool(snapshots(killed))
        process = start(killed)
        if draw.random() < 0.2:
            time.sleep(draw.uniform(0, before))
        else:
            seconds_until_training(killed)
            time.sleep(draw.uniform(0, 0.3) * seconds)
        if process.poll() is None:
            process.kill()
            process.wait()
            kills += 1
        else:
            # Came to its end: begun anew, so that all kills hit something.
            assert snapshot(killed, last) == snapshot(whole, last)
            remove_snapshots(killed)
    finish(killed)
    assert snapshot(killed, last) == snapshot(whole, last)
    assert gone_on > KILLS / 2
    assert not parts(killed)
    print(f"{KILLS} kills, {gone_on} times gone on from a snapshot")


def seconds_until_training(folder: Path) -> float:
    begin = time.monotonic()
    while "Starting Optimization" not in (folder / "log").read_text():
        assert time.monotonic() < begin + 100
        time.sleep(0.002)
    return time.monotonic() - begin


def test_twenty_kills_while_a_snapshot_is_written(tmp_path):
    """The files are large, and written after every iteration; each kill comes when a part of one is there."""
    size = {"hidden": 400, "outputs": 10, "snapshot": 1, "iterations": 100}
    whole, killed = (make_run(tmp_path / name, **size) for name in ("whole", "killed"))
    finish(whole)
    draw = random.Random(1)
    hits = 0
    for _ in range(KILLS):
        before = snapshots(killed)
        process = start(killed)
        while snapshots(killed) == before:  # so that it comes a bit further each time
            assert process.poll() is None
            time.sleep(0.005)
        time.sleep(draw.uniform(0, 0.05))
        while process.poll() is None and not parts(killed):
            pass
        time.sleep(draw.uniform(0, 0.01))
        process.kill()
        process.wait()
        hits += bool(parts(killed))
    assert hits
    finish(killed)
    assert snapshot(killed, 100) == snapshot(whole, 100)
    # Of every iteration the same, whichever process wrote it.
    assert all(snapshot(killed, iteration) == snapshot(whole, iteration) for iteration in range(1, 101))
    assert not parts(killed)
    print(f"{hits} of {KILLS} kills left a part of a file")


def test_weights_and_history_are_those_of_another_seed_if_it_is_another(tmp_path):
    """That the comparison above can fail: another order, and other random numbers, show."""
    files = []
    for name, more in (("a", {}), ("b", {"data": "shuffle: true"}), ("c", {"iterations": ITERATIONS, "batch": 7})):
        folder = make_run(tmp_path / name, **more)
        finish(folder)
        files.append(snapshot(folder)[f"run_iter_{ITERATIONS}.caffemodel"])
    assert len(set(files)) == 3
