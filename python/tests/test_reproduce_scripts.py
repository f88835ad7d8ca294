"""Every script of a table or a figure, in a dry run."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from caffe_acu.experiments.environment import describe_environment
from caffe_acu.nets.zoo import all_models
from caffe_acu.reproduce.estimate import kept_bytes, time_networks
from caffe_acu.reproduce.figures import paper_figures
from caffe_acu.reproduce.plan import Training, plan
from caffe_acu.reproduce.scale import position_interval
from caffe_acu.reproduce.tables import model_of, paper_tables
from reproduce_runs import COMMAND, prepare_cifar10

ROOT = Path(__file__).resolve().parents[2]
NAMES = [(made.paper, made.id) for made in (*paper_tables(), *paper_figures())]
CORES = 2


def test_every_table_and_figure_has_a_script_and_every_script_one_of_them():
    scripts = {(path.parent.name, path.stem) for paper in tables_of_papers() for path in paper.glob("*.sh")}
    assert scripts == set(NAMES)


def tables_of_papers() -> list[Path]:
    return [ROOT / "scripts" / paper for paper in ("cvpr2017", "grouped")]


@pytest.fixture
def checkout(tmp_path) -> Path:
    """A checkout that is set up: the scripts, and the commands that they call."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for name, text in (
        ("scripts/setup.sh", "true"),
        (".venv/bin/caffe-acu", f'exec {" ".join(COMMAND)} "$@"'),
    ):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    # As if all networks had been timed here before: two seconds for every iteration.
    device = f"{describe_environment()['processor']}, {CORES} threads"
    timings = {device: {model.folder: 2000 for model in all_models()}}
    (tmp_path / "results").mkdir()
    (tmp_path / "results/timings.json").write_text(json.dumps(timings))
    return tmp_path


@pytest.mark.parametrize(("paper", "name"), NAMES, ids=map(" ".join, NAMES))
def test_a_script_tells_what_it_would_do(checkout, tmp_path, paper, name):
    script = ROOT / "scripts" / paper / f"{name}.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    copy = checkout / "scripts" / paper / script.name
    copy.parent.mkdir()
    copy.write_text(script.read_text())
    line = ["bash", str(copy), "--dry-run", "--cores", str(CORES)]
    called = subprocess.run(line, cwd=tmp_path.parent, capture_output=True, text=True, timeout=120)
    assert called.returncode == 0, called.stderr
    needed = plan(paper, name)
    lines = called.stdout.splitlines()
    count = len(needed.trainings)
    assert lines[0] == f"{needed.title}: {count} of {count} runs to do, 1 at a time on 2 threads; in results"
    for training, text in zip(needed.trainings, lines[1:], strict=False):
        assert text.startswith(f"  {training.model.name}, seed {training.seed}: ") and "iterations" in text
    assert "no data set; make it with: caffe-acu data" in called.stdout
    assert "time: about" in called.stdout and "disk: " in called.stdout
    hours = round(sum(map(seconds, needed.trainings)) / 60) // 60
    assert f"time: about {hours // 24} d {hours % 24} h in all" in called.stdout
    assert not (checkout / "results" / paper).exists()  # nothing was prepared


def seconds(training: Training) -> float:
    """Two for an iteration, and a third of that for as many test images, which are tested at the end once more."""
    settings, source = training.model.schedule.settings, training.model.data.source
    tests = 1 + settings["max_iter"] / settings["test_interval"]
    if "Places" in training.model.data.name:
        tests += 9 + ("alexnet" in training.model.name)  # ten crops, and a test before training
    images = {"CIFAR": 10_000, "Place": 36_500, "Image": 50_000}[training.model.data.name[:5]]
    return 2 * (settings["max_iter"] + tests * images / source.train_batch / 3)


def test_tests_count_where_training_is_short(tmp_path):
    forget(tmp_path, "")
    line = [*COMMAND, "reproduce", "cvpr2017", "figure5", "--dry-run", "--results", str(tmp_path), "--scale", "640"]
    line += ["--cores", str(CORES)]
    for more, minutes in (([], 4), (["--limit", "100"], 2)):  # 100 seconds, and 3 tests of 52 or of half a second
        called = subprocess.run([*line, *more], capture_output=True, text=True, timeout=120)
        assert f"time: about {minutes} min in all" in called.stdout


def dry_run_of_table2(tmp_path: Path, data: Path) -> list[str]:
    forget(tmp_path, "")
    line = [*COMMAND, "reproduce", "cvpr2017", "table2", "--dry-run", "--results", str(tmp_path), "--scale", "640"]
    line += ["--cores", str(CORES), "--data", f"cifar10={data}"]
    called = subprocess.run(line, capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert called.returncode == 0, called.stderr
    return called.stdout.splitlines()


def test_a_dry_run_tells_which_runs_have_no_data_yet_and_what_data_there_are(tmp_path):
    data = prepare_cifar10(tmp_path)
    lines = dry_run_of_table2(tmp_path, data["gcn-zca"])
    runs = [line for line in lines if ", seed 1: " in line]
    assert ["left out until its data set is there" in line for line in runs] == ["cifar100" in line for line in runs]
    assert f"data: {data['gcn-zca']} is there, 500 of 50,000 images to train, 100 of 10,000 images to test" in lines
    # 100 seconds, and tests of 100 images instead of 10,000.
    assert ["about 2 min" in line for line in runs] == ["cifar100" not in line for line in runs]


def test_a_dry_run_names_data_of_the_wrong_kind(tmp_path):
    data = prepare_cifar10(tmp_path)["gcn"]
    assert any(
        line.startswith(f"data: {data}: preprocessed by gcn, not gcn-zca") for line in dry_run_of_table2(tmp_path, data)
    )


def forget(results: Path, name: str) -> None:
    """All networks have been timed here but one."""
    known = {model.folder: 1000 for model in all_models() if model.name != name}
    device = f"{describe_environment()['processor']}, {CORES} threads"
    (results / "timings.json").write_text(json.dumps({device: known}))


def remembered(results: Path) -> dict[str, float]:
    (known,) = json.loads((results / "timings.json").read_text()).values()
    return known


@pytest.mark.parametrize("scale", [1, 64])
def test_a_network_is_timed_where_it_was_not(tmp_path, scale):
    line = [*COMMAND, "reproduce", "cvpr2017", "poster_ablation", "--dry-run", "--results", str(tmp_path)]
    forget(tmp_path, "plain")
    before = remembered(tmp_path)
    line += ["--cores", str(CORES), "--scale", str(scale)]
    called = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert called.returncode == 0, called.stderr
    measured = remembered(tmp_path)
    assert measured["cvpr2017/plain"] > 1  # milliseconds of 64 images, forward and backward
    assert {**measured, "cvpr2017/plain": 0} == {**before, "cvpr2017/plain": 0}


def test_a_network_that_could_not_be_timed_is_tried_again(tmp_path, monkeypatch):
    forget(tmp_path, "plain")
    model = next(model for model in all_models() if model.name == "plain")
    for time in (None, 5.0):
        monkeypatch.setattr("caffe_acu.reproduce.estimate._time", lambda *_, time=time: time)
        assert time_networks([model], tmp_path, None, CORES) == {model.folder: time}


@pytest.mark.parametrize("max_iter", [5, 640, 1000, 1279, 1300, 64_000, 300_240])
def test_positions_count_with_all_their_records(max_iter):
    """The first iteration, every multiple of the interval below the last one, and the last."""
    with_acus, without = (
        kept_bytes(model_of(f"grouped/{name}"), max_iter, max_iter) for name in ("resnet29_acu", "resnet29")
    )
    moments = {*range(0, max_iter, position_interval(max_iter)), max_iter}
    # 9 layers of 9 synapses: as float32 in the log and again in the arrays; in two blobs of a snapshot 16 values count.
    numbers = 9 * 2 * 9
    assert with_acus - without == 2 * 4 * (len(moments) * numbers + 9 * 16)
