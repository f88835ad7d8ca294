"""Answers for this project's Caffe: the ACU, the Convolution of the same build, and upstream's own convolution.

Runs in the project's environment, started by run.py. Timed is Caffe's C++ alone: no array passes through Python.
"""

import ctypes
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arrays
import caffe
import numpy as np
from nets import WEIGHT, X, Y, layer_net, plain_solver
from protocol import Refused, seconds_per_call, serve
from shapes import BOTH, FORWARD, LayerCase

from caffe_acu.caffe_proto import caffe_pb2

_LAYER = 1  # index in the net; 0 is the Input layer


class LayerCandidate:
    """A net of one layer with its input, weights, positions and output gradient filled."""

    def __init__(self, case: LayerCase, kind: str) -> None:
        self._net = _load(lambda path: caffe.Net(path, caffe.TRAIN), _checked(layer_net(case, kind)))
        self._blobs = self._net.params["layer"]
        self._blobs[WEIGHT].data[...] = arrays.weights(case)
        self._learns_positions = kind == "acu"
        if self._learns_positions:
            for blob, values in zip((X, Y), arrays.layer_positions(case), strict=True):
                self._blobs[blob].data[...] = values.reshape(self._blobs[blob].data.shape)
        self._net.blobs["data"].data[...] = arrays.layer_input(case)
        self._net.blobs["layer"].diff[...] = arrays.output_gradient(case)

    def forward(self) -> None:
        self._net._forward(_LAYER, _LAYER)

    def both(self) -> None:
        self._net._forward(_LAYER, _LAYER)
        self._net._backward(_LAYER, _LAYER)

    def calls(self) -> dict[str, Callable[[], None]]:
        return {FORWARD: self.forward, BOTH: self.both}

    def touch(self) -> None:
        """Makes all blobs and their gradients exist in memory."""
        for blob in [*self._net.blobs.values(), *self._blobs]:
            blob.data[...] += 0
            blob.diff[...] += 0

    def clear(self) -> None:
        """Caffe's parameter gradients accumulate."""
        self._net.clear_param_diffs()

    def digest(self) -> dict[str, list[float]]:
        self.clear()
        self.both()
        positions = None
        if self._learns_positions:
            positions = arrays.moving(np.stack([self._blobs[X].diff, self._blobs[Y].diff]))
        return arrays.digest(
            output=self._net.blobs["layer"].data,
            input_gradient=self._net.blobs["data"].diff,
            weight_gradient=self._blobs[WEIGHT].diff,
            position_gradient=positions,
        )


class NetCandidate:
    """The plain network with its solver; images and labels are always the same and already in memory."""

    def __init__(self, kind: str) -> None:
        solver = plain_solver(kind)
        net = _checked(solver.net_param)
        self._solver = _load(caffe.NesterovSolver, solver)
        images, labels = arrays.net_input()
        self._solver.net.blobs["data"].data[...] = images
        self._solver.net.blobs["label"].data[...] = labels
        for layer in net.layer:
            if layer.type == "ACU":
                for blob, values in zip((X, Y), arrays.positions(1), strict=True):
                    data = self._solver.net.params[layer.name][blob].data
                    data[...] = values.reshape(data.shape)

    def step(self) -> None:
        self._solver.step(1)

    def calls(self) -> dict[str, Callable[[], None]]:
        return {"step": self.step}

    def clear(self) -> None:
        """The solver does it."""


def _checked(net: "caffe_pb2.NetParameter") -> "caffe_pb2.NetParameter":
    for layer in net.layer:
        if layer.type not in caffe.layer_type_list():
            raise Refused(f"this build has no {layer.type}")
    return net


def _load(make: Callable[[str], Any], message: Any) -> Any:
    """What pycaffe makes of a message, which it reads from files only."""
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as file:
        file.write(str(message))
        file.flush()
        return make(file.name)


def _memory_kib(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise Refused(f"the system does not tell {field}")


# Requests.


def hello() -> dict[str, str]:
    versions = {"Caffe": f"{caffe.__version__} (this build)", "NumPy": np.__version__}
    try:
        blas = ctypes.CDLL("libopenblas.so.0")
        blas.openblas_get_config.restype = ctypes.c_char_p
        versions["BLAS of Caffe"] = blas.openblas_get_config().decode().strip()
    except (OSError, AttributeError):
        versions["BLAS of Caffe"] = "not OpenBLAS"
    return {**versions, "Python of Caffe": platform.python_version()}


def prepare(candidate: str, case: dict[str, Any] | None = None) -> dict[str, list[float]]:
    """Builds a layer (with ``case``) or a net, and computes with it once."""
    if case is None:
        _candidates[candidate] = NetCandidate(candidate)
        return {}
    layer = _candidates[candidate] = LayerCandidate(LayerCase(**case), candidate)
    return layer.digest()


def measure(candidate: str, pass_: str, repeats: int) -> float:
    chosen = _candidates[candidate]
    chosen.clear()
    return seconds_per_call(chosen.calls()[pass_], repeats)


def release() -> None:
    _candidates.clear()


def memory(candidate: str, case: dict[str, Any]) -> dict[str, int]:
    """Bytes by which a forward and backward pass raises the peak of this process, the first and the second one.

    The layer's blobs and their gradients are touched before, so they do not count.
    """
    layer = LayerCandidate(LayerCase(**case), candidate)
    layer.touch()
    growth = {}
    for run in ("first", "second"):
        try:
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        except OSError as error:
            raise Refused("the system does not let a process reset its peak of memory") from error
        before = _memory_kib("VmRSS")
        layer.both()
        growth[run] = (_memory_kib("VmHWM") - before) * 1024
    return growth


_candidates: dict[str, LayerCandidate | NetCandidate] = {}

if __name__ == "__main__":
    caffe.set_mode_cpu()
    caffe.set_random_seed(1)
    serve({"hello": hello, "prepare": prepare, "measure": measure, "release": release, "memory": memory})
