"""Commands called like Slurm's that run jobs here, each at once: what `--executor slurm` is tested with."""

import os
import signal
import stat
import sys
from pathlib import Path

from reproduce_runs import children

# Job n has files n.* in $FAKE_SLURM: `arguments`, `pid` while it runs, `code` when it has ended.
_COMMANDS = {
    "sbatch": r"""
import os, subprocess, sys
from pathlib import Path
folder = Path(os.environ["FAKE_SLURM"])
number = str(len(list(folder.glob("*.arguments"))) + 1)
(folder / f"{number}.arguments").write_text("\n".join(sys.argv[1:]))
wrapped = next(word for word in sys.argv if word.startswith("--wrap=")).removeprefix("--wrap=")
output = sys.argv[sys.argv.index("--output") + 1].replace("%j", number)
code = folder / f"{number}.code"
with open(output, "wb") as log:
    job = subprocess.Popen(
        ["sh", "-c", f"sh -c \"$0\"; echo $? > {code}.new; mv {code}.new {code}", wrapped],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        env={**os.environ, "SLURM_JOB_ID": number},
    )
(folder / f"{number}.pid").write_text(str(job.pid))
print(number)
""",
    "srun": r"""
import os, sys
from pathlib import Path
Path(os.environ["FAKE_SLURM"], "srun").write_text("\n".join(sys.argv[1:]))
command = sys.argv[1:]
while command[0].startswith("-"):
    del command[0]
os.execvp(command[0], command)
""",
    "sacct": r"""
import os, sys
from pathlib import Path
folder = Path(os.environ["FAKE_SLURM"])
if "-nu" in sys.argv:
    sys.exit("no accounting of users")
for job in folder.glob("*.arguments"):
    code = job.with_suffix(".code")
    state = "RUNNING" if not code.exists() else "COMPLETED" if code.read_text().strip() == "0" else "FAILED"
    print(f"{job.stem}|{state}")
""",
    "squeue": "",
    "sinfo": "print('PARTITION\\nall*')",
    "scontrol": "print('MaxArraySize = 1001\\nMinJobAge = 300 sec')",
    "sacctmgr": "print('lab')",
    "sshare": "print('lab')",
}


def install(folder: Path) -> dict[str, str]:
    """Writes the commands below ``folder``; returns variables with which they are found."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name, text in _COMMANDS.items():
        path = folder / "bin" / name
        path.write_text(f"#!{sys.executable}\n{text.lstrip()}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}", "FAKE_SLURM": str(folder / "jobs")}


def arguments(folder: Path) -> list[list[str]]:
    """Of `sbatch`, for each job in their order."""
    jobs = sorted((folder / "jobs").glob("*.arguments"), key=lambda path: int(path.stem))
    return [path.read_text().split("\n") for path in jobs]


def srun_arguments(folder: Path) -> list[str]:
    """Of the last `srun`."""
    return (folder / "jobs/srun").read_text().split("\n")


def cancel(folder: Path, number: int) -> None:
    """Ends a job as `scancel` and the time limit do where Slurm signals all processes of a job."""
    first = int((folder / f"jobs/{number}.pid").read_text())
    for pid in [first, *children(first)]:
        os.kill(pid, signal.SIGTERM)
