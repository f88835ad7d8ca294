"""How ``caffe train`` on several GPUs ends: at signals, at mistakes, when one of them fails. On emulated GPUs.

CAFFE_ACU_BUILD names the build for CUDA.
"""

import os
import signal
import time
from pathlib import Path

import lmdb
import pytest

from resume_runs import complaints, make_run, parts, snapshots, start, wait

PROGRAM = Path(__file__).resolve().parents[2] / os.environ.get("CAFFE_ACU_BUILD", "build") / "bin" / "caffe_emulated"
if not PROGRAM.exists():
    pytest.skip("no build for CUDA in CAFFE_ACU_BUILD: no emulated GPUs", allow_module_level=True)


@pytest.fixture(autouse=True)
def four_gpus(monkeypatch) -> None:
    monkeypatch.setenv("CAFFE_ACU_EMULATION_DEVICES", "4")


@pytest.fixture
def run(tmp_path) -> Path:
    return make_run(tmp_path / "run", batch=2, iterations=20, outputs=3)


def train(folder: Path, gpus: str, *options: str, code: int = 0) -> str:
    return wait(start(folder, "--gpu", gpus, *options, program=PROGRAM), folder, code)


def test_one_logs_and_snapshots_and_all_test(run):
    said = train(run, "0,1")
    assert "Optimization Done." in said and not complaints(said)
    assert said.count("Iteration 15, Testing net") == 1 and said.count("Test net output #0") == 2
    assert said.count("Iteration 7 (") == 1
    assert snapshots(run) == [5, 10, 15, 20]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_all_stop_at_a_signal(run, number):
    process = start(run, "--gpu", "0,1,2,3", program=PROGRAM)
    end = time.monotonic() + 100
    while "Iteration 7 (" not in (run / "log").read_text():
        assert time.monotonic() < end
        time.sleep(0.005)
    process.send_signal(number)
    said = wait(process, run)
    assert "Optimization stopped early." in said and not complaints(said)
    stopped = snapshots(run)[-1]
    assert 7 <= stopped < 20
    said = train(run, "0,1", "--resume", "auto")  # with another number of them
    assert f"run_iter_{stopped}.solverstate" in said and snapshots(run)[-1] == 20


@pytest.mark.parametrize("record", [32, 33])
def test_a_failure_of_one_ends_all_and_leaves_the_last_snapshot(tmp_path, record):
    """Of two GPUs the second reads record 33, in the iteration after the fourth; the first waits for it meanwhile."""
    run = make_run(tmp_path / "run", batch=2, iterations=6, outputs=3, snapshot=1)
    key = f"{record:08}".encode()
    with lmdb.open(str(run / "images"), map_size=1 << 24) as images, images.begin(write=True) as records:
        good = records.get(key)
        records.put(key, b"damage")
    said = train(run, "0,1", code=1)
    [complaint] = complaints(said)
    assert complaint.startswith(f"GPU {record % 2}: ") and f'record "{record:08}" of the LMDB' in complaint
    assert not complaints(said, "F")
    assert snapshots(run) == [1, 2, 3, 4] and not parts(run)
    with lmdb.open(str(run / "images"), map_size=1 << 24) as images, images.begin(write=True) as records:
        records.put(key, good)
    said = train(run, "0,1", "--resume", "auto")
    assert "run_iter_4.solverstate" in said and snapshots(run)[-1] == 6


@pytest.mark.parametrize(
    ("gpus", "words"), [("1,1", "GPU 1 is named twice"), ("0,9", "there is no GPU 9: 4 can be used, numbers 0 to 3")]
)
def test_mistakes(run, gpus, words):
    [complaint] = complaints(train(run, gpus, code=1))
    assert words in complaint and not snapshots(run)
