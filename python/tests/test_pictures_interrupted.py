"""A build that is killed, interrupted, starved or raced at any moment goes on, and ends as if nothing had happened."""

import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from caffe_acu.cli.main import main
from caffe_acu.data import output_folder
from caffe_acu.data.pictures import build
from caffe_acu.data.pictures import prepare as pictures_prepare
from caffe_acu.errors import UserError
from pictures_run import SIZE, contents_of, prepare, raising

# Runs the command line in a process of its own, which commits after every task and stops itself: no timing.
DRIVER = """
import multiprocessing, os, signal, sys
from caffe_acu.data import workers
from caffe_acu.data.pictures import build, state

build._COMMIT_BYTES = 1

def stop_after(owner, name, calls, stop, before=False):
    function, left = getattr(owner, name), [calls]

    def wrapped(*arguments):
        left[0] -= 1
        if before and not left[0]:
            report(); stop()
        result = function(*arguments)
        if not before and not left[0]:
            report(); stop()
        return result

    setattr(owner, name, wrapped)

def report():
    print(*(child.pid for child in multiprocessing.active_children()), flush=True)

def kill():
    os.kill(os.getpid(), signal.SIGKILL)

def interrupt():
    os.killpg(0, signal.SIGINT)  # as a terminal does

def interrupt_imports():
    child, = multiprocessing.active_children()
    while "numpy" not in open(f"/proc/{child.pid}/maps").read():
        pass
    interrupt()

{stop}
from caffe_acu.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
AFTER_A_COMMIT = "stop_after(build._Writer, '_commit', 2, {how})"
# The table of records is written and the LMDB is not.
IN_A_COMMIT = "stop_after(state.State, 'dump', 4, {how}, before=True)"
WHILE_WORKERS_START = "stop_after(workers.Workers, '_submit', 1, {how}_imports)"


@pytest.fixture
def source(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / "source")


@pytest.fixture
def small_commits(monkeypatch) -> None:
    monkeypatch.setattr(build, "_COMMIT_BYTES", 1)


def arguments(source: Path, out: Path) -> list[str]:
    return ["data", "images", "--source", str(source), "--out", str(out), "--size", str(SIZE), "--workers", "2"]


def run_and_stop(source: Path, out: Path, stop: str) -> tuple[subprocess.CompletedProcess, list[int]]:
    """The finished process and the workers that it had when it was stopped."""
    command = [sys.executable, "-c", DRIVER.replace("{stop}", stop), *arguments(source, out)]
    done = subprocess.run(command, capture_output=True, text=True, start_new_session=True, timeout=60)
    return done, [int(pid) for pid in done.stdout.split()]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def assert_gone(pids: list[int]) -> None:
    assert pids
    deadline = time.monotonic() + 60
    while any(map(alive, pids)):
        assert time.monotonic() < deadline, "workers outlive their parent"
        time.sleep(0.02)


def table_of(out: Path) -> list[bytes]:
    """Names of the files that the table of the partial folder has, in order."""
    table = out.with_name(f".{out.name}.partial") / "train_records.tsv"
    return [line.split(b"\t")[3] for line in table.read_bytes().splitlines()]


def spoil(source: Path, names: list[bytes]) -> None:
    for name in names:
        (source / "train" / os.fsdecode(name)).write_bytes(b"no picture any more")


@pytest.mark.parametrize("stop, done", ((AFTER_A_COMMIT, 128), (IN_A_COMMIT, 192)), ids=("after", "in a commit"))
def test_killed(source, whole, wanted, tmp_path, stop, done):
    out = tmp_path / "out"
    process, workers = run_and_stop(source, out, stop.format(how="kill"))
    assert process.returncode == -signal.SIGKILL
    assert_gone(workers)
    assert not out.exists()
    names = table_of(out)
    assert len(names) == (128 if stop == AFTER_A_COMMIT else 200)
    spoil(source, names[:done])  # what was done is not read again
    if stop == IN_A_COMMIT:
        # The next run cuts the table back, and has nothing to add to it.
        spoil(source, names[done:])
        assert main(arguments(source, out)) == 2
        assert len(table_of(out)) == done
        for name in names[done:]:
            shutil.copy(whole / "train" / os.fsdecode(name), source / "train" / os.fsdecode(name))
    assert main(arguments(source, out)) == 0
    assert contents_of(out) == wanted


@pytest.mark.parametrize("stop", (AFTER_A_COMMIT, WHILE_WORKERS_START), ids=("at work", "starting"))
def test_interrupted(source, wanted, tmp_path, stop):
    process, workers = run_and_stop(source, tmp_path / "out", stop.format(how="interrupt"))
    assert process.returncode == 130
    assert process.stderr == "caffe-acu data: interrupted\n"
    assert_gone(workers)
    if stop == AFTER_A_COMMIT:
        spoil(source, table_of(tmp_path / "out"))
    assert main(arguments(source, tmp_path / "out")) == 0
    assert contents_of(tmp_path / "out") == wanted


STEPS = {
    "building the second split": (pictures_prepare, "build_split", 2),
    "sealing the first split": (pictures_prepare, "seal_split", 1),
    "sealing the second split": (pictures_prepare, "seal_split", 2),
    "the manifest": (pictures_prepare, "write_manifest", 1),
    "flushing": (output_folder, "_flush", 1),
    "the rename": (Path, "rename", 1),
}


@pytest.mark.parametrize("step", STEPS)
def test_interrupted_at_the_end(source, wanted, tmp_path, monkeypatch, step):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        raising(patch, *STEPS[step])
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    for path in source.rglob("*.jpg"):
        if step != "building the second split" or "train" in path.parts:
            path.write_bytes(b"")
    prepare(source, tmp_path / "out")
    assert contents_of(tmp_path / "out") == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


@pytest.mark.parametrize("rename", (1, 2))
def test_interrupted_while_replacing(source, wanted, tmp_path, monkeypatch, rename):
    out = tmp_path / "out"
    prepare(source, out, seed=5)
    before = (out / "manifest.json").read_bytes()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        raising(patch, Path, "rename", rename)
        prepare(source, out, overwrite=True)
    # The earlier data set is there, if need be under the name of .out.old.
    assert ((out if rename == 1 else tmp_path / ".out.old") / "manifest.json").read_bytes() == before
    shutil.rmtree(source)
    prepare(source, out, overwrite=True)
    assert contents_of(out) == wanted
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_an_existing_folder_is_refused_before_anything_is_made(source, tmp_path):
    (tmp_path / "out").mkdir()
    for overwrite, words in ((False, "exists: choose another --out"), (True, "is no data set of caffe-acu")):
        with pytest.raises(UserError, match=words):
            prepare(source, tmp_path / "out", overwrite=overwrite)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_two_runs_at_once(source, wanted, tmp_path, monkeypatch, small_commits):
    def run_too() -> None:
        for other in ({}, {"seed": 1}, {"restart": True}):
            with pytest.raises(UserError, match="another run is writing there"):
                prepare(source, tmp_path / "out", **other)

    raising(monkeypatch, build._Writer, "_commit", 2, run_too)
    prepare(source, tmp_path / "out")
    assert contents_of(tmp_path / "out") == wanted


def test_other_options_and_a_restart(source, wanted, tmp_path, monkeypatch, small_commits):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        raising(patch, build._Writer, "_commit", 3)
        prepare(source, out, seed=1)
    left = table_of(out)
    with pytest.raises(UserError, match="interrupted run left its work there, with other options .*--restart"):
        prepare(source, out)
    main_error = main(["data", "generated", "--out", str(out), "--train", "8", "--test", "8"])
    assert main_error == 2 and table_of(out) == left
    prepare(source, out, restart=True)
    assert contents_of(out) == wanted


def test_a_damaged_table_of_an_interrupted_run(source, wanted, tmp_path, monkeypatch, small_commits):
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        raising(patch, build._Writer, "_commit", 3)
        prepare(source, tmp_path / "out")
    os.truncate(tmp_path / ".out.partial" / "train_records.tsv", 100)
    with pytest.raises(UserError, match="shorter than what was written: begin anew with --restart"):
        prepare(source, tmp_path / "out")


def test_a_worker_that_dies(source, wanted, tmp_path, monkeypatch, small_commits):
    def kill_workers() -> None:
        for child in multiprocessing.active_children():
            os.kill(child.pid, signal.SIGKILL)

    with monkeypatch.context() as patch, pytest.raises(UserError, match="a worker process died.*--workers") as caught:
        raising(patch, build._Writer, "_commit", 2, kill_workers)
        prepare(source, tmp_path / "out")
    assert "\n" not in str(caught.value)
    spoil(source, table_of(tmp_path / "out"))
    prepare(source, tmp_path / "out")
    assert contents_of(tmp_path / "out") == wanted


def mount(folder: Path, options: str, check: bool = False) -> subprocess.CompletedProcess:
    return subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], capture_output=True, check=check)


@pytest.fixture
def disk(request, tmp_path):
    """A file system of its own, of a few kilobytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = mount(folder, "size=16k")
    if mounted.returncode:
        # Who may not mount may become root of a namespace, and run this one test in it.
        namespace = ["unshare", "-rm"]
        if os.geteuid() and not subprocess.run([*namespace, "true"], capture_output=True).returncode:
            test = ["-p", "no:cacheprovider", f"--basetemp={tmp_path / 'inside'}", request.node.nodeid]
            command = [*namespace, sys.executable, "-m", "pytest", *test]
            done = subprocess.run(command, cwd=request.config.rootpath, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout
            pytest.skip("ran in a namespace, and passed")
        pytest.skip(f"no file system can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(source, wanted, disk, small_commits):
    out = disk / "out"
    refused = set()
    for kilobytes in (16, 24, 40, 64, 100, 180, 300, 400, 500, 600, 700, 2000, 20_000):
        mount(disk, f"remount,size={kilobytes}k", check=True)
        try:
            prepare(source, out)
            break
        except UserError as error:
            assert "\n" not in str(error)
            refused.add(re.sub(r"[\d.]+ GB|'.*'|/\S*", "", str(error)))
            assert re.search("free some space|disk is full|No space left", str(error)), error
            assert not out.exists()
    assert len(refused) >= 3, refused  # the disk was full at several stages
    assert contents_of(out) == wanted
    assert json.loads((out / "manifest.json").read_text())["left_out"] == {}
    assert [path.name for path in disk.iterdir()] == ["out"]
