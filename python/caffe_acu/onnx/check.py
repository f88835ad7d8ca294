"""Whether a model computes in ONNX Runtime what the network computes in Caffe."""

import importlib.util
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.errors import UserError
from caffe_acu.onnx.dataflow import Dataflow, Shape, Value
from caffe_acu.onnx.handlers import with_affine
from caffe_acu.onnx.model import Export

# Shares of the largest value that rounding explains. Sums in two orders left 3e-5 in the networks of the papers;
# DeformConv, of which engines compute the places in single precision too, 4e-6 pixels off at 100 pixels, left 7e-5.
_SUMS = 1e-4
_PLACES = 5e-4
_INSIDE = 10  # times as much before the outputs: what normalisation magnifies there evens out in sums
_HIDES = ("Softmax", "Sigmoid")  # behind large scores differences vanish, or are all that there is
_OPEN_BATCHES = (1, 2)
_ERRORS_ONLY = 3
_SEED = 1

Arrays = Mapping[Value, np.ndarray]


@dataclass(frozen=True)
class Difference:
    """Between a blob in Caffe and its value in ONNX Runtime, for one size of the batch."""

    blob: str  # as it is called in the model
    shape: Shape
    largest: float  # absolute
    scale: float  # the largest absolute value in Caffe
    allowed: float  # what rounding explains, absolute

    @property
    def is_rounding(self) -> bool:
        return self.largest <= self.allowed


def can_check() -> bool:
    return importlib.util.find_spec("onnxruntime") is not None


def differences(export: Export, net: Any) -> list[Difference]:
    """Of the outputs, and of scores right before a softmax, on random inputs (normal, standard deviation 1).

    ``net`` is the network in pycaffe. An open batch is compared with one image and with two. UserError if ONNX Runtime
    does not run the model, or values are not finite.
    """
    outputs = export.flow.outputs
    hidden = [step.bottoms[0] for step in export.flow.steps if step.layer.type in _HIDES and step.tops[0] in outputs]
    scores = [value for value in dict.fromkeys(hidden) if value not in export.flow.inputs]
    session = _session(export.content, scores)
    return [
        one
        for batch in (_OPEN_BATCHES[:1] if export.why_fixed else _OPEN_BATCHES)
        for one in _compared(export, net, session, batch, [*outputs, *scores], _share(export))
    ]


def differences_inside(export: Export, net: Any) -> list[Difference]:
    """Of every value in the model, right after its layer, for one image; much may be wrong that outputs hardly show."""
    values = [top for step in with_affine(export.flow) for top in step.tops]
    session = _session(export.content, [value for value in values if value not in export.flow.outputs])
    return _compared(export, net, session, _OPEN_BATCHES[0], values, _INSIDE * _share(export))


def _share(export: Export) -> float:
    return _PLACES if any(step.layer.type in ACTIVE_TYPES for step in export.flow.steps) else _SUMS


def _compared(
    export: Export, net: Any, session: Any, batch: int, values: Sequence[Value], share: float
) -> list[Difference]:
    inputs = _inputs(export, batch)
    theirs = _caffe(net, export.flow, inputs, set(values))
    ours = _run(session, inputs, values)
    found = {value: _difference(value, theirs[value], array, share) for value, array in zip(values, ours, strict=True)}
    for step in export.flow.steps:
        if step.layer.type in _HIDES and {step.bottoms[0], step.tops[0]} <= found.keys():
            # Probabilities change by at most half of what their scores change by, however large these are.
            one, score = found[step.tops[0]], found[step.bottoms[0]]
            found[step.tops[0]] = replace(one, allowed=one.allowed + score.largest / 2)
    return list(found.values())


def _inputs(export: Export, batch: int) -> Arrays:
    random = np.random.default_rng(_SEED)
    shapes = {value: value.shape if export.why_fixed else (batch, *value.shape[1:]) for value in export.flow.inputs}
    return {value: random.normal(size=shape).astype(np.float32) for value, shape in shapes.items()}


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
            f"onnxruntime {onnxruntime.__version__} does not load the model; a newer one may, or a lower --opset: "
            f"{_first_line(error)}"
        ) from error


def _run(session: Any, inputs: Arrays, values: Sequence[Value]) -> list[np.ndarray]:
    try:
        return session.run([value.name for value in values], {value.name: array for value, array in inputs.items()})
    except Exception as error:
        raise UserError(f"onnxruntime fails to run the model: {_first_line(error)}") from error


def _caffe(net: Any, flow: Dataflow, inputs: Arrays, values: Collection[Value]) -> Arrays:
    """Values as they are right after their layers: later ones may write over them, also by other names."""
    for value, array in inputs.items():
        net.blobs[value.blob].reshape(*array.shape)
    net.reshape()
    for value, array in inputs.items():
        net.blobs[value.blob].data[...] = array
    steps = list(flow.steps)
    found = {}
    for i, (name, layer) in enumerate(zip(net._layer_names, net.layers, strict=True)):
        net._forward(i, i)
        if layer.type != "Input" and steps and name == steps[0].layer.name:  # Caffe has Split layers of its own
            tops = steps.pop(0).tops
            found |= {top: net.blobs[top.blob].data.copy() for top in tops if top in values}
    return found


def _difference(value: Value, theirs: np.ndarray, ours: np.ndarray, share: float) -> Difference:
    if theirs.shape != ours.shape:
        raise UserError(f"blob {value.name!r} has shape {theirs.shape} in Caffe, {ours.shape} in ONNX Runtime")
    if not np.isfinite(theirs).all():
        raise UserError(
            f"blob {value.name!r} holds NaN or infinity in Caffe, on random inputs: nothing can be checked; "
            "are these trained weights?"
        )
    largest, scale = float(np.abs(theirs - ours).max()), float(np.abs(theirs).max())
    return Difference(value.name, theirs.shape, largest, scale, share * scale)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
