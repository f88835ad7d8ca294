"""The trial for a machine with a GPU, as far as it goes without one: the kit, its steps, and pieces of them."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from caffe_acu.caffe_proto import build_folder
from caffe_acu.data.cifar_formats import CIFAR10_CLASSES
from cifar_sources import image_tree

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts" / "gpu_trial"
sys.path += [str(ROOT / "benchmarks"), str(SCRIPTS)]

import gtest_runs  # noqa: E402
import trial_kit  # noqa: E402
import trial_pack  # noqa: E402
import trial_steps  # noqa: E402
from gtest_runs import TestRuns, list_tests, run_tests  # noqa: E402

# ---- Running gtest programs

GTEST = """\
import os, sys, time
tests = ["A/0.Good", "A/0.Bad", "B.Crashes", "B.Hangs", "B.Last"]
options = dict(o[2:].partition("=")[::2] for o in sys.argv[1:])
if "gtest_list_tests" in options:
    print("No GPU: left out *GPU*\\nA/0.  # TypeParam = float\\n  Good\\n  Bad\\nB.\\n  Crashes\\n  Hangs\\n  Last")
    sys.exit()
for name in tests:
    if name not in options["gtest_filter"].split(":"):
        continue
    print("[ RUN      ]", name, flush=True)
    if name == "B.Crashes":
        print("Check failed: something", flush=True)
        os.abort()
    if name == "B.Hangs":
        time.sleep(60)
    if name == "A/0.Bad":
        print("expected 1, got 2\\n[  FAILED  ] A/0.Bad, where TypeParam = float (3 ms)", flush=True)
    else:
        print("[       OK ] " + name + " (2 ms)", flush=True)
"""


@pytest.fixture
def gtest(tmp_path, monkeypatch) -> list[str]:
    monkeypatch.setattr(gtest_runs, "_PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr(gtest_runs, "_POLL_SECONDS", 0.02)
    (tmp_path / "program.py").write_text(GTEST)
    return [sys.executable, str(tmp_path / "program.py")]


def run_all(gtest, runs, deadline=None, batch_size=10) -> bool:
    names = list_tests(gtest, runs.path.parent)
    assert names == ["A/0.Good", "A/0.Bad", "B.Crashes", "B.Hangs", "B.Last"]
    return run_tests(
        runs, names, lambda chosen: [*gtest, f"--gtest_filter={chosen}"], runs.path.parent, deadline, batch_size
    )


def test_a_test_that_crashes_or_hangs_costs_only_itself(gtest, tmp_path):
    runs = TestRuns(tmp_path / "runs.json")
    assert run_all(gtest, runs)
    assert runs.counts() == {"ok": 2, "failed": 1, "crashed": 1, "timed out": 1}
    assert runs.bad()["A/0.Bad"]["output"] == ["expected 1, got 2"]
    assert runs.bad()["B.Crashes"]["output"] == ["Check failed: something"]
    assert TestRuns(tmp_path / "runs.json").results == runs.results
    assert run_all(gtest, runs)  # nothing is left


def test_tests_go_on_after_the_time_was_over(gtest, tmp_path):
    runs = TestRuns(tmp_path / "runs.json")
    assert not run_all(gtest, runs, deadline=time.monotonic() - 1)
    assert runs.results == {}
    # The time ends while a test hangs: it is no result yet.
    assert not run_all(gtest, runs, deadline=time.monotonic() + 0.3)
    assert "B.Hangs" not in runs.results
    assert run_all(gtest, runs, batch_size=1)
    assert len(runs.results) == 5


def test_a_program_that_cannot_start_is_no_result(tmp_path):
    with pytest.raises(RuntimeError, match="the test program ended with 1: no library"):
        run_tests(
            TestRuns(tmp_path / "r.json"), ["A.B"], lambda _: ["sh", "-c", "echo no library; exit 1"], tmp_path, None, 1
        )


# ---- compute-sanitizer


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def sanitized(tmp_path, monkeypatch, what_it_says: str):
    program = f"#!{sys.executable}\n{GTEST}".replace("time.sleep(60)", "pass").replace("os.abort()", "pass")
    executable(tmp_path / "package" / "bin" / "acu_tests", program)
    tool = executable(tmp_path / "compute-sanitizer", f'#!/bin/sh\nshift 4\n"$@"\n{what_it_says}\n')
    monkeypatch.setattr(trial_steps, "find_sanitizer", lambda: tool)
    kit = trial_kit.Kit(tmp_path / "package", None, tmp_path, {})
    options = trial_steps.Options(tmp_path / "out", 0, None, "trial.py", Path(sys.executable), tests="*")
    return trial_steps.sanitize(kit, options)


def test_a_refusal_of_the_device_is_said(tmp_path, monkeypatch):
    outcome = sanitized(tmp_path, monkeypatch, 'echo "========= Error: Device not supported. Please refer to"; exit 1')
    assert outcome.status == "refused"
    assert outcome.reason.startswith("memcheck: Error: Device not supported. Please refer to; racecheck: ")
    assert outcome.found["memcheck"]["counts"] == {}


def test_errors_of_the_sanitizer_are_the_tests(tmp_path, monkeypatch):
    errors = 'echo "========= Invalid __global__ write of size 4"; echo "========= ERROR SUMMARY: 3 errors"'
    outcome = sanitized(tmp_path, monkeypatch, errors)
    assert outcome.status == "done"
    assert outcome.found["racecheck"]["counts"] == {"3 errors": 5}
    assert "Invalid __global__ write" in outcome.found["memcheck"]["bad"]["B.Last"]["output"][0]


def test_a_clean_run_of_the_sanitizer(tmp_path, monkeypatch):
    outcome = sanitized(
        tmp_path, monkeypatch, 'echo "========= RACECHECK SUMMARY: 0 hazards displayed (0 errors, 0 warnings)"'
    )
    assert outcome.found["racecheck"]["counts"] == {"ok": 4, "failed": 1}


# ---- The kit


@pytest.fixture
def package(tmp_path) -> Path:
    """Looks like the relocatable folder."""
    folder = tmp_path / "caffe-acu"
    for name in ("caffe", "layer_times", "acu_tests", "caffe_tests"):
        executable(folder / "bin" / name, "#!/bin/sh\n")
    version = folder / "share" / "caffe-acu" / "VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("caffe-acu 0.1.0\ncommit 0123456789\n")
    return folder


def make_kit(out: Path, *options: str | Path) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHON": sys.executable}
    command = [SCRIPTS / "make_kit.sh", out, "--wheels", "", *options]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_a_kit_holds_what_the_trial_needs(package, tmp_path):
    kit = tmp_path / "kit"
    image_tree(tmp_path / "images", 2)
    made = make_kit(kit, "--package", package, "--images", tmp_path / "images")
    assert made.returncode == 0, made.stderr
    about = json.loads((kit / "KIT.json").read_text())
    assert about["package"] == "caffe-acu 0.1.0; commit 0123456789"
    assert about["images"] == "images.tar.xz"
    for name in ("trial.py", "benchmarks/gpu_bench.py", "python/caffe_acu/experiments/trial.py", "images.tar.xz"):
        assert (kit / name).is_file()
    assert not list(kit.rglob("__pycache__"))
    helped = subprocess.run([sys.executable, kit / "trial.py", "--help"], capture_output=True, text=True)
    assert "sanitize" in helped.stdout
    # Made again, it is replaced; anything else is not.
    assert make_kit(kit, "--package", package, "--images", "none").returncode == 0
    assert not (kit / "images.tar.xz").exists()
    (tmp_path / "thesis").mkdir()
    assert "is there and no kit" in make_kit(tmp_path / "thesis", "--package", package, "--images", "none").stderr


def test_a_kit_that_is_too_large_is_refused(package, tmp_path):
    images = tmp_path / "images.tar"
    images.write_bytes(os.urandom(1_200_000))
    refused = make_kit(tmp_path / "kit", "--package", package, "--images", images, "--limit", "1")
    assert refused.returncode == 2
    assert re.search(r"the kit would be [2-9] MiB, more than 1: carry fewer --wheels", refused.stderr)
    assert "images.tar" in refused.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["caffe-acu", "images.tar"]


def test_a_folder_without_the_tests_is_no_package_for_a_kit(package, tmp_path):
    (package / "bin" / "acu_tests").unlink()
    refused = make_kit(tmp_path / "kit", "--package", package, "--images", "none")
    assert refused.returncode == 2
    assert "has no bin/acu_tests: build it with scripts/setup.sh --package --tests --cuda" in refused.stderr


def test_carried_wheels_stand_in_for_what_is_missing_only(tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for module in ("numpy", "unheard_of"):
        with zipfile.ZipFile(wheels / f"{module}.whl", "w") as wheel:
            wheel.writestr(f"{module}/__init__.py", "carried = True\n")
    monkeypatch.setattr(trial_kit, "_HERE", tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    about = {"wheels": {"numpy": "numpy.whl", "unheard_of": "unheard_of.whl"}}
    trial_kit._add_missing_packages(about, tmp_path / "site")
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["unheard_of"]
    import unheard_of

    assert unheard_of.carried


# ---- The trial itself, on the CPU and on images so small that minutes become seconds


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("images") / "tiny"
    image_tree(folder, 12, CIFAR10_CLASSES)
    return folder


def trial(out: Path, images: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, SCRIPTS / "trial.py", *arguments, "--out", out, "--gpu=-1", "--package", build_folder()]
    return subprocess.run([*command, "--images", images], capture_output=True, text=True, cwd=out.parent)


def test_without_a_gpu_the_trial_says_so(tmp_path):
    if shutil.which("nvidia-smi"):
        pytest.skip("there may be a GPU")
    ended = subprocess.run(
        [sys.executable, SCRIPTS / "trial.py", "all", "--out", tmp_path / "out", "--package", build_folder()],
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 2 and "there is no GPU: nvidia-smi shows none" in ended.stderr


def test_a_trial_in_pieces(tmp_path, images):
    out = tmp_path / "out"
    assert "no time is left" in trial(out, images, "data", "--minutes", "1").stdout
    assert trial(out, images, "data").returncode == 0
    first = trial(out, images, "train", "report", "--minutes", "0.31")
    assert first.returncode == 3, first.stdout + first.stderr
    assert "trial: train: not done yet" in first.stdout
    assert "| plain_acu |" in (out / "report.md").read_text()  # as far as it is
    reached = {name: last_snapshot(out, name) for name in ("plain", "plain_acu")}
    assert all(iteration > 0 for iteration in reached.values())

    # On another machine, from what was packed.
    packed = trial(out, images, "pack-results")
    assert packed.returncode == 0, packed.stderr
    elsewhere = tmp_path / "elsewhere"
    with tarfile.open(out / "results.tar.xz") as archive:
        archive.extractall(elsewhere)
    shutil.rmtree(out)
    assert "there is no data set" in trial(elsewhere, images, "train").stdout
    assert trial(elsewhere, images, "data").returncode == 0
    second = trial(elsewhere, images, "train", "--minutes", "0.31")
    assert second.returncode == 3, second.stdout + second.stderr
    for name, iteration in reached.items():
        assert last_snapshot(elsewhere, name) > iteration
        log = (elsewhere / "training" / name / "train.log").read_text()
        assert f"snapshots/{name}_iter_{iteration}.solverstate" in log


def last_snapshot(out: Path, name: str) -> int:
    snapshots = (out / "training" / name / "snapshots").glob("*.solverstate")
    return max(int(path.stem.rpartition("_")[2]) for path in snapshots)


def test_a_trial_to_its_end(tmp_path, images):
    out = tmp_path / "out"
    arguments = ("data", "alone", "train", "report", "pack-results", "--iterations", "8", "--alone-iterations", "20")
    ended = trial(out, images, *arguments)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    text = (out / "report.md").read_text()
    assert "tried out on the CPU: no result" in text
    assert "| plain_acu | 8 |" in text
    for step in ("| tests | not run |", "| alone | done |", "| train | done |"):
        assert step in text
    found = json.loads((out / "report.json").read_text())
    status = {row["measured"]: row["status"] for row in found["targets"]}
    assert status["iteration, training on CIFAR-10, ACU / plain"] in ("met", "missed")
    assert status["iteration, data in memory, ACU / plain"] == "not run"
    assert status["largest difference from torchvision"] == "not run"
    assert found["steps"]["alone"]["environment"]["date"] and found["steps"]["alone"]["command"]

    with tarfile.open(out / "results.tar.xz") as archive:
        names = archive.getnames()
    for name in ("report.md", "training/plain/train.log", "training/plain_acu/positions.json", "steps/train.json"):
        assert name in names
    assert "training/plain_acu/snapshots/plain_acu_iter_8.caffemodel" in names
    positions = json.loads((out / "training" / "plain_acu" / "positions.json").read_text())
    assert "8" in positions and len(positions["8"]["conv1_1"]["x"][0]) == 9

    # Asked for all that is left, it would leave this alone.
    options = trial_steps.Options(out, -1, None, "trial.py", Path(sys.executable), iterations=8, alone_iterations=20)
    record = json.loads((out / "steps" / "train.json").read_text())
    assert trial_steps.is_final("train", record, options)
    assert not trial_steps.is_final("train", record, trial_steps.Options(out, -1, None, "", Path(sys.executable)))

    # What does not fit is left out, the reports never.
    line = trial_pack.pack_results(options, limit=2_000_000)
    assert "without solver states and weights, which made it too large" in line
    assert "LARGER" not in line
