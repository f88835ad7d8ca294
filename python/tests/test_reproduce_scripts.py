"""Every script of a table or a figure, in a dry run."""

import json
import stat
import subprocess
from pathlib import Path

import pytest

from caffe_acu.experiments.environment import describe_environment
from caffe_acu.nets.zoo import all_models
from caffe_acu.reproduce.figures import paper_figures
from caffe_acu.reproduce.plan import plan
from caffe_acu.reproduce.tables import paper_tables
from reproduce_runs import COMMAND

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
    seconds = 2 * sum(training.model.schedule.settings["max_iter"] for training in needed.trainings)
    assert f"time: about {seconds // 86400} d " in called.stdout
    assert not (checkout / "results" / paper).exists()  # nothing was prepared


def test_a_network_is_timed_where_it_was_not(tmp_path):
    line = [*COMMAND, "reproduce", "cvpr2017", "poster_ablation", "--dry-run", "--results", str(tmp_path)]
    known = {model.folder: 1000 for model in all_models() if model.name != "plain"}
    device = f"{describe_environment()['processor']}, {CORES} threads"
    (tmp_path / "timings.json").write_text(json.dumps({device: known}))
    called = subprocess.run([*line, "--cores", str(CORES)], capture_output=True, text=True, timeout=120)
    assert called.returncode == 0, called.stderr
    measured = json.loads((tmp_path / "timings.json").read_text())[device]
    assert measured["cvpr2017/plain"] > 1  # milliseconds of 64 images, forward and backward
    assert {**measured, "cvpr2017/plain": 0} == {**known, "cvpr2017/plain": 0}
