"""Whether a model computes in ONNX Runtime what the network computes in Caffe."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.errors import UserError
from caffe_acu.onnx.dataflow import Shape, Value
from caffe_acu.onnx.model import Export

# Shares of the largest value that rounding explains. Sums in two orders left 3e-5 in the networks of the papers;
# DeformConv, of which engines compute the places in single precision too, 4e-6 pixels off at 100 pixels, left 7e-5.
_SUMS = 1e-4
_PLACES = 5e-4
_HIDES = ("Softmax", "Sigmoid")  # behind large scores differences vanish
_OPEN_BATCHES = (1, 2)
_ERRORS_ONLY = 3
_SEED = 1


@dataclass(frozen=True)
class Difference:
    """Between a blob in Caffe and its value in ONNX Runtime, for one size of the batch."""

    blob: str
    shape: Shape
    largest: float  # absolute
    scale: float  # the largest absolute value in Caffe
    tolerance: float  # share of it that rounding explains

    @property
    def is_rounding(self) -> bool:
        return self.largest <= self.tolerance * self.scale


def can_check() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


def differences(export: Export, net: Any) -> list[Difference]:
    """Of the outputs, and of scores right before a softmax, on random inputs (normal, standard deviation 1).

    ``net`` is the network in pycaffe. An open batch is compared with one image and with two. UserError if ONNX Runtime
    does not run the model, or values are not finite.
    """
    scores = list(_hidden_scores(export))
    compared = [*export.flow.outputs, *scores]
    session = _session(export.content, scores)
    active = any(step.layer.type in ACTIVE_TYPES for step in export.flow.steps)
    tolerance = _PLACES if active else _SUMS
    random = np.random.default_rng(_SEED)
    found = []
    for batch in (None,) if export.why_fixed else _OPEN_BATCHES:
        shapes = {value: (batch, *value.shape[1:]) if batch else value.shape for value in export.flow.inputs}
        inputs = {value: random.normal(size=shape).astype(np.float32) for value, shape in shapes.items()}
        theirs = _caffe(net, inputs, compared)
        ours = _run(session, {value.name: array for value, array in inputs.items()}, compared)
        found += [_difference(*both, tolerance) for both in zip(compared, theirs, ours, strict=True)]
    return found


def _hidden_scores(export: Export) -> Iterator[Value]:
    outputs = export.flow.outputs
    for step in export.flow.steps:
        # Of a blob that is written over, pycaffe has the last value only, which is called as the blob.
        if step.layer.type in _HIDES and step.tops[0] in outputs and step.bottoms[0].name == step.bottoms[0].blob:
            yield step.bottoms[0]


def _session(content: bytes, scores: Sequence[Value]) -> Any:
    """Runs what is in the file, with ``scores`` as further outputs."""
    import onnxruntime

    # Of messages written one behind the other, lists are joined when they are read.
    more = onnx.ModelProto(graph=onnx.GraphProto(output=[onnx.ValueInfoProto(name=value.name) for value in scores]))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS_ONLY
    content += more.SerializeToString()
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # they have no base of their own
        raise UserError(
            f"onnxruntime {onnxruntime.__version__} does not load the model: {_first_line(error)}"
        ) from error


def _run(session: Any, inputs: Mapping[str, np.ndarray], compared: Sequence[Value]) -> list[np.ndarray]:
    try:
        return session.run([value.name for value in compared], inputs)
    except Exception as error:
        raise UserError(f"onnxruntime fails to run the model: {_first_line(error)}") from error


def _caffe(net: Any, inputs: Mapping[Value, np.ndarray], compared: Sequence[Value]) -> list[np.ndarray]:
    for value, array in inputs.items():
        net.blobs[value.blob].reshape(*array.shape)
    net.reshape()
    for value, array in inputs.items():
        net.blobs[value.blob].data[...] = array
    net.forward()
    return [net.blobs[value.blob].data.copy() for value in compared]


def _difference(value: Value, theirs: np.ndarray, ours: np.ndarray, tolerance: float) -> Difference:
    if theirs.shape != ours.shape:
        raise UserError(f"blob {value.blob!r} has shape {theirs.shape} in Caffe, {ours.shape} in ONNX Runtime")
    if not np.isfinite(theirs).all():
        raise UserError(f"blob {value.blob!r} holds NaN or infinity in Caffe, on random inputs: nothing can be checked")
    largest, scale = float(np.abs(theirs - ours).max()), float(np.abs(theirs).max())
    return Difference(value.blob, theirs.shape, largest, scale, tolerance)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
