"""The soak is flat as it is, and sees what is planted into it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts" / "soak"
PLANTED = """
import sys
sys.path.insert(0, {scripts!r})
from pathlib import Path
import soak
from chores import all_chores
kept = []
def planted(workplace):
    return all_chores(workplace) | {{"planted": lambda draw: kept.append({what})}}
sys.exit(soak.soak(0.01, 1, Path({out!r}), planted))
"""


@pytest.fixture
def measures(monkeypatch):
    monkeypatch.syspath_prepend(SCRIPTS)
    import measures

    return measures


def plant(tmp_path, what: str) -> subprocess.CompletedProcess:
    program = PLANTED.format(scripts=str(SCRIPTS), what=what, out=str(tmp_path))
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_nothing_grows(tmp_path):
    command = [sys.executable, SCRIPTS / "soak.py", "--minutes", "0.1", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\nflat\n")
    with open(tmp_path / "soak.csv", newline="") as file:
        samples = list(csv.DictReader(file))
    assert len(samples) >= 16
    assert float(samples[-1]["resident memory MiB"]) > float(samples[-1]["allocated MiB"]) > 1
    assert int(samples[-1]["open files"]) < 100


def test_planted_memory_is_seen(tmp_path):
    done = plant(tmp_path, "bytes(500_000)")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "GROWS: " in done.stdout and "allocated" in done.stdout.splitlines()[-1]


def test_planted_files_are_seen(tmp_path):
    done = plant(tmp_path, "open('/dev/null')")
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.endswith("\nGROWS: open files\n")


def test_judgement(measures):
    memory = measures.MEASURES[0]
    seconds = np.arange(0, 1200, 3.0)
    draw = np.random.default_rng(1)
    noise = 200 + 20 * np.exp(-seconds / 60) + draw.normal(size=len(seconds))  # with a start that settles
    assert measures.judge(memory, seconds, noise, 300).flat
    growing = measures.judge(memory, seconds, noise + 30 * seconds / 3600 * 3, 300)  # 90 MiB an hour
    assert not growing.flat
    assert growing.growth == pytest.approx(90 * 897 / 3600, abs=1)
