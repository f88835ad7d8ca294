"""`--executor slurm`: what is submitted, and what becomes of jobs whose submitter was killed. The cluster is a fake."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import fake_slurm
from caffe_acu.errors import UserError
from caffe_acu.reproduce.execute import ends_as_interrupts
from caffe_acu.reproduce.locks import RUN_LOCK, is_locked
from caffe_acu.reproduce.plan import Plan, plan
from caffe_acu.reproduce.prepare_run import Choices, prepare_run
from caffe_acu.reproduce.workflow import Machines, snakemake_command, write_workflow
from reproduce_runs import (
    command,
    environment,
    is_done,
    iterations,
    prepare_cifar10,
    run_folder,
    shrink_batches,
    start_and_wait,
)

pytest.importorskip("snakemake_executor_plugin_slurm")
PROFILE = Path(__file__).resolve().parents[2] / "scripts/slurm"


def graph(tmp_path: Path, needed: Plan, profile: Path, gpus_per_run: int = 1) -> str:
    """What Snakemake would do."""
    gpus = tuple(range(gpus_per_run))
    machines = Machines(8, gpus, executor="slurm", profile=profile, gpus_per_run=gpus_per_run)
    config = write_workflow(tmp_path, needed, 1, needed.trainings, machines)
    line = [*snakemake_command(tmp_path, config, machines), "--dry-run", "--printshellcmds"]
    called = subprocess.run(
        line, capture_output=True, text=True, timeout=120, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert called.returncode == 0, called.stderr
    return called.stdout


def test_the_graph_is_taken(tmp_path):
    needed = plan("grouped", "table2", 2)
    told = graph(tmp_path, needed, PROFILE)
    assert "gres=gpu:1" in told
    assert f"exec {sys.executable} -m caffe_acu.cli.main run grouped/runs/resnet29_acu_fixed/seed2" in told
    # Not `--gpus`: the GPUs of all jobs on a machine are called 0.
    assert told.count(" --gpu 0 --minutes 1440 > ") == len(needed.trainings)
    jobs = told.split("rule run:")
    (fixed,) = (job for job in jobs if "output: grouped/runs/resnet29_acu_fixed/seed2/DONE" in job)
    assert "input: grouped/runs/resnet29_acu/seed1/DONE" in fixed
    assert all(int(job.partition("mem_mb=")[2].partition(",")[0]) < 6000 for job in jobs[1:])  # a GPU has memory


def test_a_job_asks_for_as_many_gpus_as_its_run_has(tmp_path):
    told = graph(tmp_path, plan("cvpr2017", "figure5"), PROFILE, 4)
    assert "gres=gpu:4" in told and " --gpu 0,1,2,3 --minutes 1440 > " in told


def test_a_profile_may_name_the_kind_of_gpu(tmp_path):
    text = (PROFILE / "config.yaml").read_text()
    commented = text.partition("# set-resources:")[1:]
    lines = [line.removeprefix("# ") for line in "".join(commented).splitlines()]
    (tmp_path / "config.yaml").write_text("\n".join([text, *lines, ""]))
    told = graph(tmp_path, plan("cvpr2017", "figure5"), tmp_path)
    assert "gres=gpu:a100:1" in told


def test_a_profile_need_not_limit_the_time(tmp_path):
    text = (PROFILE / "config.yaml").read_text().replace("runtime: 1440", "slurm_partition: long")
    (tmp_path / "config.yaml").write_text(text)
    told = graph(tmp_path, plan("cvpr2017", "figure5"), tmp_path)
    assert " --gpu 0 " in told and "--minutes" not in told


@pytest.mark.parametrize("gpus", [{"gpus": (0, 1)}, {"gpus": (2,)}, {"gpus": (0,), "runs_per_gpu": 2}], ids=str)
def test_a_job_has_one_gpu(gpus):
    with pytest.raises(UserError, match="--executor slurm: the job of a run has one GPU, its number 0: give --gpus 0"):
        Machines(8, **gpus, executor="slurm", profile=PROFILE)


@pytest.mark.parametrize("gpus", [(0,), (0, 1, 2), (1, 2)], ids=str)
def test_a_job_with_several_gpus_has_them_from_0(gpus):
    message = "the job of a run has 2 GPUs, numbered from 0: give --gpus 0,1$|names 1: name as many, or more$"
    with pytest.raises(UserError, match=message):
        Machines(8, gpus, executor="slurm", profile=PROFILE, gpus_per_run=2)


def test_a_job_is_interrupted_before_its_time_is_over():
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(KeyboardInterrupt), ends_as_interrupts(0.001):
        signal.pause()
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_job_whose_submitter_was_killed_is_not_doubled(tmp_path):
    """It goes on; the same command says so, and goes on itself when the job is cancelled, which leaves a snapshot."""
    scale = 1000
    data = prepare_cifar10(tmp_path / "data")["gcn-zca"]
    choices = Choices(scale, data={"cifar10": data})
    (task,) = plan("cvpr2017", "figure5").trainings
    shrink_batches(prepare_run(tmp_path / f"scaled-{scale}", task, choices))
    folder = run_folder(tmp_path, "cvpr2017/plain_acu", scale=scale)
    slurm = tmp_path / "slurm"
    variables = {**environment(), **fake_slurm.install(slurm)}
    line = command("cvpr2017", "figure5", results=tmp_path, data=data, scale=scale)
    line += ["--executor", "slurm", "--profile", str(quick_profile(tmp_path)), "--cores", "2"]

    process = start_and_wait(line, tmp_path, [folder], 5, variables)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert is_locked(folder / RUN_LOCK)  # the job lives
    called = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=100)
    assert called.returncode == 2
    assert called.stderr.endswith("seed1: a job of an earlier call trains it: wait for that, or cancel it (scancel)\n")
    fake_slurm.cancel(slurm, 1)
    while is_locked(folder / RUN_LOCK):
        pass
    reached = iterations(folder)
    assert not is_done(folder) and 5 <= reached < 64

    called = subprocess.run(line, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=300)
    assert called.returncode == 0, called.stderr
    log = (folder / "train.log").read_text()
    assert log.count("] Solving ") == 2 and log.count("Resuming from snapshots/") == 1
    first, second = fake_slurm.arguments(slurm)
    for job in (first, second):
        assert {"--cpus-per-task=2", "--ntasks=1", "--mem", "-t", "1440"} <= set(job)


def quick_profile(folder: Path) -> Path:
    """Ours, for a cluster without GPUs, where nobody waits."""
    text = (PROFILE / "config.yaml").read_text().replace("latency-wait: 60", "latency-wait: 5")
    path = folder / "profile/config.yaml"
    path.parent.mkdir()
    path.write_text(text.partition("set-resources:")[0] + "slurm-init-seconds-before-status-checks: 1\n")
    return path.parent
