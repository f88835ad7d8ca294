"""Runs of tables on small data sets: what the tests of caffe_acu.reproduce share."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from caffe_acu.data.options import CifarOptions, Tolerance
from caffe_acu.data.output_folder import MANIFEST
from caffe_acu.data.prepare import prepare
from caffe_acu.reproduce.execute import DONE
from cifar_sources import cifar100_python, python_batches

COMMAND = (sys.executable, "-m", "caffe_acu.cli.main")
SCALE = 8000  # 8 of 64,000 iterations


def prepare_cifar10(folder: Path) -> dict[str, Path]:
    """Data sets with the classes and the shape of CIFAR-10, their 600 images noise, by preprocessing."""
    python_batches(folder / "source", 100)
    data = {kind: folder / kind for kind in ("gcn", "gcn-zca")}
    _prepare(folder / "source", data["gcn"], "cifar10")
    shutil.copytree(data["gcn"], data["gcn-zca"])
    _call_whitened(data["gcn-zca"])
    return data


def prepare_cifar100(folder: Path) -> Path:
    """The same for CIFAR-100, whitened as its networks want it; returns the data set's folder."""
    cifar100_python(folder / "source", 500, 100)
    _prepare(folder / "source", folder / "data", "cifar100")
    _call_whitened(folder / "data")
    return folder / "data"


def _prepare(source: Path, out: Path, name: str) -> None:
    prepare(source, out, CifarOptions(name, preprocess="gcn", tolerance=Tolerance(allow_short=True)))


def _call_whitened(folder: Path) -> None:
    """To whiten takes long, and means nothing for noise."""
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["options"]["preprocess"] = "gcn-zca"
    (folder / MANIFEST).write_text(json.dumps(manifest))


def shrink_batches(folder: Path) -> None:
    """Makes a prepared run quick: 4 images to train, 10 to test."""
    net = folder / "train_val.prototxt"
    text = re.sub(r"batch_size: (64|128)", "batch_size: 4", net.read_text())
    net.write_text(text.replace("batch_size: 100", "batch_size: 10"))


def command(*words: str, results: Path, data: Path, scale: int = SCALE) -> list[str]:
    """`caffe-acu reproduce`; ``data``: of CIFAR-10."""
    line = [*COMMAND, "reproduce", *words, "--results", str(results), "--scale", str(scale)]
    return [*line, "--data", f"cifar10={data}"]


def call(line: Sequence[str], **options) -> subprocess.CompletedProcess:
    return subprocess.run(line, capture_output=True, text=True, timeout=300, env=environment(), **options)


def start_and_wait(
    line: Sequence[str], cwd: Path, runs: Sequence[Path], iteration: int, variables: Mapping[str, str] | None = None
) -> subprocess.Popen:
    """Starts a command, and returns when one of the runs has come so far."""
    process = subprocess.Popen(
        line,
        env=variables or environment(),
        start_new_session=True,
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 200
    while max(map(iterations, runs)) < iteration:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return process


def environment() -> dict[str, str]:
    """Two threads, whatever the machine has."""
    return {**os.environ, "CAFFE_ACU_THREADS": "2"}


def run_folder(results: Path, network: str, seed: int = 1, scale: int = SCALE) -> Path:
    """``network``: below models/."""
    paper, _, name = network.partition("/")
    return results / f"scaled-{scale}" / paper / "runs" / name / f"seed{seed}"


def is_done(folder: Path) -> bool:
    return (folder / DONE).is_file()


def iterations(folder: Path) -> int:
    """That a run's log tells of."""
    path = folder / "train.log"
    return path.read_text().count(" iter/s") if path.exists() else 0


def children(pid: int) -> list[int]:
    """All processes below one."""
    of: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            of.setdefault(int(path.read_text().rpartition(")")[2].split()[1]), []).append(int(path.parent.name))
    found = [pid]
    for each in found:
        found += of.get(each, [])
    return found[1:]
