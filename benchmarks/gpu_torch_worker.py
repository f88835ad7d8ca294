"""Answers for the peers on a GPU (or, to try it out, on the CPU): times of PyTorch's layers, and the independent check.

Runs in an environment with PyTorch, started by gpu_bench.py with the device, "cuda:0" or "cpu". TF32 is off.
"""

import logging
import math
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from arrays import moving
from protocol import Refused, serve
from shapes import KERNEL, LayerCase
from torch_layers import LayerCandidate, deform_conv2d, deform_offsets

_DEVICE = torch.device(sys.argv[1] if len(sys.argv) > 1 else "cpu")
_ON_GPU = _DEVICE.type == "cuda"
_HEAD_START_BYTES, _HEAD_START_COUNT = 2**28, 64  # as in layer_times.cpp
_CACHE_MULTIPLE, _MOST_COPIES = 4, 64


def hello() -> dict[str, str]:
    versions = {"PyTorch": torch.__version__}
    for package in ("torchvision", "DCLS"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not there"
    if _ON_GPU:
        versions["device of PyTorch"] = torch.cuda.get_device_name(_DEVICE)
        versions["cuDNN of PyTorch"] = str(torch.backends.cudnn.version())
    return versions


def measure(candidate: str, case: dict[str, Any], repetitions: int, warm_up: int) -> dict[str, dict[str, float]]:
    """Quartiles, in ms, of each pass."""
    layer_case = LayerCase(**case)
    try:
        layer = LayerCandidate(layer_case, candidate, str(_DEVICE), _copies(layer_case))
        return {pass_: _quartiles(_series(call, repetitions, warm_up)) for pass_, call in layer.calls().items()}
    except (RuntimeError, NotImplementedError) as error:  # also what PyTorch raises when memory is short
        raise Refused(_first_line(error)) from error
    finally:
        if _ON_GPU:
            torch.cuda.empty_cache()


def compare(case: dict[str, Any], folder: str) -> dict[str, float]:
    """How far a dumped pass of an ACU with a bias is from torchvision's, computed in float64.

    The largest difference of output, input, weight, bias and position gradients, each in units of the largest
    value. Positions' gradients are those of the offsets, summed over outputs and images; the synapse on the
    lattice, where the derivative jumps, is left out.
    """
    layer, function = LayerCase(**case), deform_conv2d()

    def load(name: str) -> np.ndarray:
        return np.load(Path(folder) / f"{name}.npy")

    def tensor(values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(values.astype(np.float64)).to(_DEVICE).requires_grad_()

    positions = torch.from_numpy(np.stack([load("blob2"), load("blob3")]).astype(np.float64))
    positions = positions.reshape(2, layer.sets, KERNEL**2)
    offsets = deform_offsets(positions, layer.batch, layer.out_size).to(_DEVICE).requires_grad_()
    values, weights, bias = tensor(load("bottom0")), tensor(load("blob0")), tensor(load("blob1"))
    output = function(values, offsets, weights, bias, layer.stride, KERNEL // 2)
    gradients = torch.autograd.grad(output, [values, weights, bias, offsets], tensor(load("top0_diff")))
    of_values, of_weights, of_bias, of_offsets = (gradient.cpu().numpy() for gradient in gradients)
    of_positions = of_offsets.sum((0, 2, 3)).reshape(layer.sets, KERNEL**2, 2).transpose(2, 0, 1)[::-1]
    return {
        "output": _difference(load("top0"), output.detach().cpu().numpy()),
        "input gradient": _difference(load("bottom0_diff"), of_values),
        "weight gradient": _difference(load("blob0_diff"), of_weights),
        "bias gradient": _difference(load("blob1_diff"), of_bias),
        "position gradient": _difference(
            moving(np.stack([load("blob2_diff"), load("blob3_diff")])), moving(np.ascontiguousarray(of_positions))
        ),
    }


def _difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs.reshape(ours.shape)).max() / np.abs(theirs).max())


def _copies(case: LayerCase) -> int:
    """As many inputs as fill the cache several times, together with the output."""
    if not _ON_GPU:
        return 1
    cache = torch.cuda.get_device_properties(_DEVICE).L2_cache_size
    of_pass = 4 * (math.prod(case.input_shape) + math.prod(case.output_shape))
    return max(1, min(_MOST_COPIES, math.ceil(_CACHE_MULTIPLE * cache / of_pass)))


def _series(call: Callable[[], object], repetitions: int, warm_up: int) -> list[float]:
    """Milliseconds of each call: as layer_times.cpp, with no waiting in between."""
    for _ in range(warm_up):
        call()
    if not _ON_GPU:
        marks = [time.perf_counter()]
        for _ in range(repetitions):
            call()
            marks.append(time.perf_counter())
        return [1e3 * (end - begin) for begin, end in zip(marks, marks[1:], strict=False)]
    busy = torch.empty(_HEAD_START_BYTES, dtype=torch.uint8, device=_DEVICE)
    events = [torch.cuda.Event(enable_timing=True) for _ in range(repetitions + 1)]
    for _ in range(_HEAD_START_COUNT):
        busy.zero_()
    events[0].record()
    for event in events[1:]:
        call()
        event.record()
    torch.cuda.synchronize(_DEVICE)
    return [begin.elapsed_time(end) for begin, end in zip(events, events[1:], strict=False)]


def _quartiles(values: list[float]) -> dict[str, float]:
    names = ("lower_quartile", "median", "upper_quartile")
    return dict(zip(names, np.quantile(values, [0.25, 0.5, 0.75]).tolist(), strict=True))


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no more is said'}"


if __name__ == "__main__":
    logging.disable(logging.WARNING)  # DCLS says for every layer which of its variants it takes
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = True  # the peers at their best
    serve({"hello": hello, "measure": measure, "compare": compare})
