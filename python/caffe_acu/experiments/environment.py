"""Where and with what a result came about."""

import ctypes
import os
import platform
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from caffe_acu import __version__
from caffe_acu.caffe_proto import build_folder

_ROOT = Path(__file__).resolve().parents[3]


def describe_environment() -> dict[str, Any]:
    """Commit, hardware, software and date (UTC), for the record that goes with every result."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "caffe_acu": __version__,
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "gpus": _gpus(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def without_folders(text: str) -> str:
    """``text`` with file names in place of paths, also after ``=``: where a file lies on this machine is nobody's
    business."""
    return re.sub(r"(?<![^\s=])(/|\.\./)\S*/(?=[^/\s]+(\s|$))", "", text)


def command_line() -> str:
    """The command in progress, as a record of it may print it."""
    return shlex.join(["caffe-acu", *map(without_folders, sys.argv[1:])])


def hardware(environment: dict[str, Any]) -> str:
    """Processor and GPUs of a description, in a line; and on how many of these a run trained, if on several."""
    machine = f"{environment['processor']}, {environment['cores']} cores"
    together = environment.get("gpus_per_run", 1)
    return "; ".join([machine, *environment.get("gpus", []), *[f"{together} GPUs a run"] * (together != 1)])


def _commit() -> str:
    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True)
        return result.stdout.strip()

    # A relocatable folder says what it was made of; a checkout around it would be of something else.
    version = build_folder() / "share" / "caffe-acu" / "VERSION"
    if version.is_file():
        commits = [line.partition(" ")[2] for line in version.read_text().splitlines() if line.startswith("commit ")]
        return commits[0] if commits else "unknown"
    try:
        changed = " with uncommitted changes" if git("status", "--porcelain", "--untracked-files=no") else ""
        return git("rev-parse", "--short", "HEAD") + changed
    except (OSError, subprocess.CalledProcessError):
        return "unknown (not a git checkout)"


def gpu_names(environment: dict[str, Any]) -> list[str]:
    """The kinds of GPU in a description, without their drivers."""
    return [gpu.partition(",")[0] for gpu in environment.get("gpus", [])]


def _gpus() -> list[str]:
    """Name, driver and memory of every GPU; names alone where there is no nvidia-smi; none without a driver."""
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return _gpus_of_driver()
    fields = [[field.strip() for field in line.split(",")] for line in answer.splitlines() if line.strip()]
    return [f"{name}, driver {driver}, {memory}" for name, driver, memory in fields]


def _gpus_of_driver() -> list[str]:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return []
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return []
    names = []
    for device in range(count.value):
        name = ctypes.create_string_buffer(256)
        driver.cuDeviceGetName(name, len(name), device)
        names.append(name.value.decode(errors="replace"))
    return names


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
