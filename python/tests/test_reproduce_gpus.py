"""Which GPU a run gets, and when. Caffe is a stand-in here, which tells what it was called with."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.reproduce.gpus import gpu_place
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.prepare_run import Choices, prepare_run
from reproduce_runs import COMMAND, SCALE, children, command, environment, prepare_cifar10

# Trains until as many runs as there are places have begun, and fails then: the runs after them take the places.
TRAIN = """
import os, sys, time
from pathlib import Path
def tell(what):
    with open("{told}", "a") as file:
        file.write(what + "\\n")
if sys.argv[1] == "device_query":
    sys.exit(0)
gpu = sys.argv[sys.argv.index("--gpu") + 1]
tell("begin " + gpu)
while Path("{told}").read_text().count("begin") < {places}:
    time.sleep(0.02)
tell("end " + gpu)
sys.exit(1)
"""
# Without GPUs, as Caffe says it, and with one.
DEVICES = """
import sys
gpu = int(sys.argv[sys.argv.index("--gpu") + 1])
if {built} and gpu == 0:
    sys.exit(0)
why = "Check failed: error == cudaSuccess (101 vs. 0)  invalid device ordinal" if {built} else (
    "Cannot use GPU in CPU-only Caffe: check mode.")
print("I20260101 10:00:00.000000     1 caffe.cpp:138] Querying GPUs " + str(gpu), file=sys.stderr)
print("E20260101 10:00:00.000000     1 common.cpp:67] " + why, file=sys.stderr)
sys.exit(-6)
"""


def stand_in(folder: Path, text: str) -> dict[str, str]:
    """A build whose `caffe` is that program; returns variables with which it is found, and places of its own."""
    program = folder / "build/bin/caffe"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n{text}")
    program.chmod(0o755)
    package = Path(caffe_pb2.__file__).parents[1]
    shutil.copytree(package, folder / "build/python/caffe", ignore=shutil.ignore_patterns("*.so"))
    path = os.pathsep.join([str(folder / "build/python"), *sys.path])
    return {**environment(), "PYTHONPATH": path, "TMPDIR": str(folder)}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return prepare_cifar10(tmp_path_factory.mktemp("cifar10"))["gcn"]


def test_runs_have_places_on_gpus_and_never_more(tmp_path, data):
    told = tmp_path / "told"
    told.touch()
    variables = stand_in(tmp_path, TRAIN.format(told=told, places=4))
    line = command("grouped", "table5", "--seeds", "3", "--gpus", "3,5", results=tmp_path, data=data)
    line += ["--runs-per-gpu", "2", "--cores", "2"]
    called = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=200)
    assert called.returncode == 1
    assert "9 of 9 runs to do, 4 at a time on GPUs 3, 5" in called.stdout
    assert called.stderr.count("caffe train failed (1)") == 9
    events = [line.split() for line in told.read_text().splitlines()]
    assert Counter(gpu for what, gpu in events[:4] if what == "begin") == {"3": 2, "5": 2}
    taken: Counter[str] = Counter()
    for what, gpu in events:
        taken[gpu] += 1 if what == "begin" else -1
        assert 0 <= taken[gpu] <= 2
    assert len(events) == 18 and not any(taken.values())


def test_runs_that_take_several_gpus_never_share_one(tmp_path, data):
    """Of five GPUs two runs have two each. Each reads its part of the batch, and env.json tells on how many it ran."""
    told = tmp_path / "told"
    told.touch()
    variables = stand_in(tmp_path, TRAIN.format(told=told, places=2))
    line = command("grouped", "table5", "--seeds", "2", "--gpus", "1,3,4,5,7", results=tmp_path, data=data)
    line += ["--gpus-per-run", "2", "--cores", "2"]
    called = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=200)
    assert called.returncode == 1
    assert "6 of 6 runs to do, 2 at a time on GPUs 1, 3, 4, 5, 7 (2 GPUs for each)" in called.stdout
    assert called.stderr.count("caffe train failed (1)") == 6
    events = [line.split() for line in told.read_text().splitlines()]
    taken: Counter[str] = Counter()
    for what, gpus in events:
        assert len(set(gpus.split(","))) == 2
        for gpu in gpus.split(","):
            taken[gpu] += 1 if what == "begin" else -1
            assert 0 <= taken[gpu] <= 1
    assert len(events) == 12 and not any(taken.values())
    for task in plan("grouped", "table5", 2).trainings:
        folder = tmp_path / f"scaled-{SCALE}" / task.folder
        assert "batch_size: 64" in (folder / "train_val.prototxt").read_text()  # of 128
        for name in ("run.json", "env.json"):
            assert json.loads((folder / name).read_text())["gpus_per_run"] == 2


def test_who_finds_too_few_gpus_keeps_none(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    tried = threading.Event()

    def sleep(seconds: float) -> None:
        tried.set()
        time.sleep(seconds)

    monkeypatch.setattr("caffe_acu.reproduce.gpus.time", SimpleNamespace(sleep=sleep))
    got = []

    def wait_for_both() -> None:
        with gpu_place((0, 1), 1, 2) as place:
            got.append(place.gpus)

    with gpu_place((1,), 1) as single:
        assert single.gpus == (1,)
        waiting = threading.Thread(target=wait_for_both)
        waiting.start()
        assert tried.wait(60)
        with gpu_place((0,), 1) as other:  # which the one who waits has found free, and given back
            assert other.gpus == (0,)
        assert not got
    waiting.join(60)
    assert got == [(0, 1)]


def test_a_run_for_more_gpus_than_there_are_does_not_wait(tmp_path):
    with pytest.raises(UserError, match="--gpus names 2, and the run was prepared with --gpus-per-run 4"):
        with gpu_place((0, 1), 2, 4):
            pass


# Tells what it times, as `caffe time` does.
TIME = """
import sys
from pathlib import Path
if sys.argv[1] == "time":
    with open("{told}", "a") as file:
        file.write(Path(sys.argv[sys.argv.index("--model") + 1]).read_text().partition("label")[2][:300])
    print("I20260101 10:00:00.000000     1 caffe.cpp:400] forward-backward time: 10 ms.", file=sys.stderr)
"""


def test_a_dry_run_times_one_gpu_with_its_part_of_the_batch(tmp_path, data):
    told = tmp_path / "told"
    variables = stand_in(tmp_path, TIME.format(told=told))
    line = command("cvpr2017", "figure5", "--gpus", "0,1,2,3", results=tmp_path, data=data)
    line += ["--dry-run", "--gpus-per-run", "4", "--scale", "1"]
    called = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=100)
    assert called.returncode == 0, called.stderr
    assert "dim: 16" in told.read_text() and "dim: 64" not in told.read_text()
    assert "reading, what GPUs send each other and updates come on top" in called.stdout
    (device,) = json.loads((tmp_path / "timings.json").read_text())
    assert device.startswith("GPU 0, ") and device.endswith(", one of 4")


def test_a_place_is_waited_for_no_longer_than_the_parent_lives(tmp_path, data):
    told = tmp_path / "told"
    told.touch()
    variables = stand_in(tmp_path, TRAIN.format(told=told, places=2))
    tasks = plan("grouped", "table5", 2).trainings[:2]
    first, second = (prepare_run(tmp_path, task, Choices(data={"cifar10": data})) for task in tasks)
    holder = subprocess.Popen([*COMMAND, "run", str(first), "--gpus", "0"], env=variables, stderr=subprocess.PIPE)
    while not told.read_text():
        assert holder.poll() is None
    # Its parent is a shell that is killed; the pipe is closed when it ends as well.
    waiting = f"{' '.join(COMMAND)} run {second} --gpus 0 --parent $$ & echo begun; wait"
    shell = subprocess.Popen(
        ["sh", "-c", waiting], env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert shell.stdout.readline() == "begun\n"
    (waits,) = children(shell.pid)
    while not catches(waits, signal.SIGTERM):
        pass
    shell.kill()
    assert shell.stdout.read() == "caffe-acu run: interrupted\n"
    assert not (second / "train.log").exists()
    with told.open("a") as file:
        file.write("begin\n")  # lets the first one go
    assert b"caffe train failed (1)" in holder.communicate(timeout=100)[1]


def catches(pid: int, number: signal.Signals) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) & 1 << number - 1)


@pytest.mark.parametrize(
    ("built", "gpus", "message"),
    [
        (
            False,
            "0",
            "--gpus 0: this build of Caffe has no GPU passes: build it with scripts/setup.sh --cuda, or leave",
        ),
        (True, "0,1", "--gpus 1: cannot be used here: Check failed: error == cudaSuccess (101 vs. 0)  invalid device"),
    ],
    ids=["CPU build", "one GPU"],
)
@pytest.mark.parametrize("what", [[], ["--dry-run"]], ids=["run", "dry run"])
def test_a_gpu_that_cannot_be_used_is_told_at_once(tmp_path, data, what, built, gpus, message):
    variables = stand_in(tmp_path, DEVICES.format(built=built))
    line = command("grouped", "table5", "--gpus", gpus, *what, results=tmp_path, data=data)
    called = subprocess.run(line, env=variables, capture_output=True, text=True, timeout=100)
    assert called.returncode == 2 and called.stdout == ""
    assert message in called.stderr and called.stderr.count("\n") == 1
