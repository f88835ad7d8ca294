"""Starts the worker processes, each in its own environment, with a number of threads or on a GPU."""

import os
import sys
from pathlib import Path

from protocol import Worker
from shapes import CAFFE, TORCH, TORCH_KEPT

_HERE = Path(__file__).resolve().parent
# Whatever the caller has set for the threads of BLAS and OpenMP must not reach the workers.
_DROPPED = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY", "CAFFE_ACU_THREADS")


def caffe_worker(threads: int, *, exact_memory: bool = False) -> Worker:
    """With ``exact_memory`` freed memory goes back to the system at once, so that none hides in the allocator."""
    environment = _environment() | {"CAFFE_ACU_THREADS": str(threads), "GLOG_minloglevel": "2"}
    if exact_memory:
        environment |= {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    return Worker(CAFFE, [sys.executable, _HERE / "caffe_worker.py"], environment)


def torch_worker(threads: int, python: Path, *, keeps_memory: bool = False) -> Worker:
    """With ``keeps_memory`` freed memory never goes back to the system, which else gives zeroed pages every time.

    Our own package is found by it, though ``python`` is another's.
    """
    environment = _environment() | {"OMP_NUM_THREADS": str(threads)}
    environment["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(_HERE.parent / "python"), environment.get("PYTHONPATH")])
    )
    if keeps_memory:
        environment |= {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(2**26)}
    name = TORCH_KEPT if keeps_memory else TORCH
    return Worker(name, [python, _HERE / "torch_worker.py", str(threads)], environment)


def gpu_torch_worker(python: Path, gpu: int, more_packages: str = "") -> Worker:
    """The peers on a GPU, without TF32; -1: on the CPU. ``more_packages`` is put before those of ``python``."""
    device = f"cuda:{gpu}" if gpu >= 0 else "cpu"
    environment = _environment() | {"NVIDIA_TF32_OVERRIDE": "0"}
    if more_packages:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [more_packages, environment.get("PYTHONPATH")]))
    return Worker(TORCH, [python, _HERE / "gpu_torch_worker.py", device], environment)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _DROPPED}
