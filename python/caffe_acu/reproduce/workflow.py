"""The graph of runs, handed to Snakemake: it decides what may start, here or on a cluster, and survives failures."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.child_processes import at_parents_end
from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import command_line
from caffe_acu.net_param import write_atomically
from caffe_acu.reproduce.estimate import memory_mb
from caffe_acu.reproduce.plan import Plan, Training

_SNAKEFILE = Path(__file__).with_name("Snakefile")
# Networks of the papers are small: beyond this, cores do more for another run than for the same one.
_MOST_THREADS = 8


@dataclass(frozen=True)
class Machines:
    """On what the runs train.

    Attributes:
        cores: of this machine, or of a job on a cluster.
        gpus: their numbers; none: the CPU.
        runs_per_gpu: that share a GPU.
        gpus_per_run: that train a run together.
        executor: of Snakemake, "local" or for instance "slurm".
        profile: folder of a Snakemake profile, which such an executor needs.
    """

    cores: int
    gpus: tuple[int, ...] = ()
    runs_per_gpu: int = 1
    executor: str = "local"
    profile: Path | None = None
    gpus_per_run: int = 1

    def __post_init__(self) -> None:
        if self.cores < 1:
            raise UserError(f"--cores is {self.cores}: it takes 1 or more")
        if self.runs_per_gpu > 1 and not self.gpus:
            raise UserError(f"--runs-per-gpu {self.runs_per_gpu}: needs --gpus, the GPUs that runs share")
        if self.gpus_per_run > 1 and not self.gpus:
            raise UserError(f"--gpus-per-run {self.gpus_per_run}: needs --gpus, the GPUs that train a run together")
        if self.gpus and len(self.gpus) < self.gpus_per_run:
            raise UserError(f"--gpus-per-run {self.gpus_per_run}: --gpus names {len(self.gpus)}: name as many, or more")
        if not self.is_local and self.profile is None:
            raise UserError(f"--executor {self.executor}: needs --profile, a folder such as scripts/slurm")
        if not self.is_local and (self.gpus not in ((), self._of_job) or self.runs_per_gpu > 1):
            has = "one GPU, its number 0" if self.gpus_per_run == 1 else f"{self.gpus_per_run} GPUs, numbered from 0"
            wanted = ",".join(map(str, self._of_job))
            raise UserError(f"--executor {self.executor}: the job of a run has {has}: give --gpus {wanted}")
        if self.profile is not None and not (self.profile / "config.yaml").is_file():
            raise UserError(f"{self.profile}: no Snakemake profile (config.yaml); scripts/slurm is one")

    @property
    def is_local(self) -> bool:
        return self.executor == "local"

    @property
    def _of_job(self) -> tuple[int, ...]:
        """The GPUs of a job, which a cluster numbers from 0."""
        return tuple(range(self.gpus_per_run))

    @property
    def at_once(self) -> int:
        """Runs at a time on this machine. On the CPU one that has all cores, up to _MOST_THREADS for each."""
        if self.gpus:
            return len(self.gpus) // self.gpus_per_run * self.runs_per_gpu
        return max(1, self.cores // _MOST_THREADS)

    @property
    def threads(self) -> int:
        """Of the CPU, for each run."""
        return max(1, self.cores // self.at_once) if self.is_local else self.cores


def require_snakemake() -> None:
    if importlib.util.find_spec("snakemake") is None:
        raise UserError("Snakemake is not installed: run scripts/setup.sh, or pip install 'caffe-acu[reproduce]'")


def write_workflow(folder: Path, plan: Plan, scale: int, todo: Sequence[Training], machines: Machines) -> Path:
    """The configuration of the Snakefile, for what is left to do in the folder of a scale; returns its path."""
    folders = {training.folder for training in todo}
    options = []
    if machines.gpus:
        numbers = ",".join(map(str, machines.gpus))
        options = ["--gpus", numbers, "--runs-per-gpu", str(machines.runs_per_gpu)]
        if not machines.is_local:  # a job's GPUs are its own, and called as those of the other jobs on that machine
            options = ["--gpu", numbers]
    content = {
        "runs": {
            str(training.folder): {
                "after": [str(training.start.folder)] if training.start and training.start.folder in folders else [],
                "mem_mb": memory_mb(training.model, machines.gpus_per_run if machines.gpus else 0),
            }
            for training in todo
        },
        "command": [sys.executable, "-m", "caffe_acu.cli.main"],
        "options": options,
        "threads": machines.threads,
        "gpu_slots": machines.gpus_per_run if machines.gpus and machines.is_local else 0,
        "gres": f"gpu:{machines.gpus_per_run}" if machines.gpus and not machines.is_local else "",
        "local": machines.is_local,
        "table": _table_command(plan, scale),
    }
    path = folder / plan.table.paper / f".{plan.id}.workflow.json"
    write_atomically(path, json.dumps(content, indent=2) + "\n")
    return path


def _table_command(plan: Plan, scale: int) -> list[str]:
    """Of caffe-acu, started in the folder of the scale."""
    place = ["--results", "." if scale == 1 else "..", "--scale", str(scale)]
    if plan.figure:
        return ["figure", plan.figure.paper, str(plan.figure.number), *place]
    command = ["table", plan.table.paper, plan.table.id, *place, "--made-by", command_line()]
    return [*command, "--seeds", str(plan.seeds)] if plan.seeds else command


def snakemake_command(results: Path, config: Path, machines: Machines) -> list[str]:
    """The command that makes the table or the figure, with a profile's settings where there is one.

    Snakemake's own locks, which outlive a kill, are off: the caller holds one on the results. Only what is missing
    is made; changed code or an older file does not make a finished run unfinished.
    """
    command = [
        sys.executable, "-m", "snakemake", "table",
        "--snakefile", str(_SNAKEFILE),
        "--configfile", str(config.resolve()),
        "--directory", str(results.resolve()),
        "--executor", machines.executor,
        "--keep-going", "--nolock", "--rerun-incomplete",
        "--rerun-triggers", "mtime",
    ]  # fmt: skip
    if machines.profile is not None:
        command += ["--profile", str(machines.profile.resolve())]
    if machines.is_local:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 10**6
        command += ["--cores", str(machines.at_once * machines.threads)]
        command += ["--resources", f"mem_mb={memory}", f"gpu_slots={machines.at_once * machines.gpus_per_run}"]
    return command


class Workflow:
    """Snakemake at work, as a process that ends with this one."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        """What Snakemake says goes to ``log``."""
        self.log = log
        with log.open("ab") as file:
            # A session of its own: an interrupt from the keyboard reaches it and its runs once, through stop().
            self._process = subprocess.Popen(
                command,
                stdout=file,
                stderr=file,
                # A user's own profile is for other workflows.
                env={name: value for name, value in os.environ.items() if name != "SNAKEMAKE_PROFILE"},
                start_new_session=True,
                preexec_fn=at_parents_end(signal.SIGKILL),
            )

    def poll(self) -> int | None:
        """Snakemake's exit code; None while it works."""
        return self._process.poll()

    def stop(self) -> None:
        """Interrupts it with its runs, which write snapshots to go on from, and waits for that."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait()
