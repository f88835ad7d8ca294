"""scripts/slurm/train.sbatch: what it asks Slurm for, and what it starts. Slurm and the trainer are stand-ins."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import fake_slurm

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/slurm/train.sbatch"
# A rank, which tells how it was started.
TRAINER = """
import json, os, sys
names = ("CAFFE_ACU_THREADS", "OPENBLAS_NUM_THREADS")
told = {"pid": os.getpid(), "arguments": sys.argv[1:], "variables": [os.environ[name] for name in names]}
print(json.dumps(told))
sys.exit(int(os.environ.get("CODE", "0")))
"""


@pytest.fixture
def cluster(tmp_path) -> dict[str, str]:
    """Variables of a job whose submit folder has a solver and a set-up."""
    program = tmp_path / "home/.venv/bin/caffe-acu"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n{TRAINER}")
    program.chmod(0o755)
    (tmp_path / "home/solver.prototxt").touch()
    job = {"SLURM_SUBMIT_DIR": str(tmp_path / "home"), "SLURM_CPUS_PER_TASK": "6"}
    return {**os.environ, **fake_slurm.install(tmp_path / "slurm"), **job}


def call(cluster: dict[str, str], *words: str, **variables: str) -> subprocess.CompletedProcess:
    """As Slurm does: a copy of the script, in the folder from which it was submitted."""
    copy = Path(cluster["FAKE_SLURM"]) / "slurm_script"
    shutil.copy(SCRIPT, copy)
    return subprocess.run(
        [copy, *words], cwd=cluster["SLURM_SUBMIT_DIR"], env={**cluster, **variables}, capture_output=True, text=True
    )


def directives() -> dict[str, str]:
    """What sbatch reads: lines that begin with #SBATCH, before the first command."""
    head = re.split(r"^(?=[^#\n])", SCRIPT.read_text(), maxsplit=1, flags=re.MULTILINE)[0]
    return {
        name: value
        for name, _, value in (line.removeprefix("#SBATCH ").partition("=") for line in head.splitlines())
        if name.startswith("--")
    }


def test_the_job_is_signalled_queued_again_and_keeps_its_log():
    asked = directives()
    assert asked["--signal"] == "TERM@120"  # without B: the ranks get it, and not the script alone
    assert "--requeue" in asked and asked["--open-mode"] == "append"
    assert int(asked["--nodes"]) > 1 and {"--ntasks-per-node", "--cpus-per-task", "--time"} <= set(asked)
    assert not any("<" in value for value in asked.values())  # what is to be filled in is no directive yet
    assert "##SBATCH --gpus-per-node=" in SCRIPT.read_text()


def test_every_rank_trains_and_goes_on_by_itself(cluster, tmp_path):
    called = call(cluster, "solver.prototxt", "--divide-batch", "--gpu", "all")
    assert called.returncode == 0, called.stderr
    told = json.loads(called.stdout)
    options = ["--divide-batch", "--gpu", "all"]
    assert told["arguments"] == ["train", "--solver", "solver.prototxt", "--resume", "auto", *options]
    assert told["variables"] == ["6", "1"]
    started = fake_slurm.srun_arguments(tmp_path / "slurm")
    assert {"--kill-on-bad-exit=1", "--cpus-per-task=6", "--mpi=pmix"} <= set(started)


def test_signals_reach_srun_and_not_a_shell_that_waits(cluster):
    path = Path(cluster["SLURM_SUBMIT_DIR"])
    process = subprocess.Popen([SCRIPT, "solver.prototxt"], cwd=path, env=cluster, stdout=subprocess.PIPE)
    assert json.loads(process.communicate(timeout=60)[0])["pid"] == process.pid


def test_the_code_of_a_rank_that_fails_is_that_of_the_job(cluster):
    assert call(cluster, "solver.prototxt", CODE="7").returncode == 7


def test_another_set_up_and_another_mpi_may_be_chosen(cluster, tmp_path):
    (tmp_path / "home/.venv").rename(tmp_path / ".venv")
    called = call(cluster, "solver.prototxt", CAFFE_ACU_ROOT=str(tmp_path), CAFFE_ACU_SLURM_MPI="pmi2")
    assert called.returncode == 0, called.stderr
    assert "--mpi=pmi2" in fake_slurm.srun_arguments(tmp_path / "slurm")


@pytest.mark.parametrize(
    ("words", "variables", "message"),
    [
        ([], {}, "train.sbatch: which solver? sbatch [...] train.sbatch solver.prototxt [options"),
        (["no.prototxt"], {}, "no.prototxt: cannot be read in "),
        (["solver.prototxt"], {"CAFFE_ACU_ROOT": "/nowhere"}, "/nowhere: no .venv/bin/caffe-acu: set CAFFE_ACU_ROOT"),
    ],
)
def test_what_is_missing_is_one_line(cluster, words, variables, message):
    called = call(cluster, *words, **variables)
    assert called.returncode == 2
    assert message in called.stderr and called.stderr.count("\n") == 1
    assert not (Path(cluster["FAKE_SLURM"]) / "srun").exists()


def test_shellcheck_finds_nothing():
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed")
    checked = subprocess.run(["shellcheck", SCRIPT], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
