"""Layers that cut, join and reshape."""

import numpy as np

from caffe_acu.onnx.dataflow import Step
from caffe_acu.onnx.handlers.registry import axis_of, handles
from caffe_acu.onnx.writer import Writer

_INFERRED = -1


@handles("Split")
def _split(step: Step, out: Writer) -> None:
    for top in step.tops:
        out.node("Identity", step.bottoms[0], to=top)


@handles("Silence")
def _silence(step: Step, out: Writer) -> None:
    """Makes nothing; what it reads is no output, as in Caffe."""


def _concat_axis(step: Step) -> int:
    param = step.layer.concat_param
    return axis_of(step.bottoms[0], param.concat_dim if param.HasField("concat_dim") else param.axis)


@handles("Concat", mixes_images=lambda step: _concat_axis(step) == 0)
def _concat(step: Step, out: Writer) -> None:
    out.node("Concat", *step.bottoms, to=step.tops[0], axis=_concat_axis(step))


def _slice_axis(step: Step) -> int:
    param = step.layer.slice_param
    return axis_of(step.bottoms[0], param.slice_dim if param.HasField("slice_dim") else param.axis)


@handles("Slice", mixes_images=lambda step: _slice_axis(step) == 0)
def _slice(step: Step, out: Writer) -> None:
    axis = _slice_axis(step)
    sizes = out.constant("sizes", np.array([top.shape[axis] for top in step.tops]))
    out.nodes("Split", [step.bottoms[0], sizes], step.tops, axis=axis)


@handles("Flatten", mixes_images=lambda step: axis_of(step.bottoms[0], step.layer.flatten_param.axis) == 0)
def _flatten(step: Step, out: Writer) -> None:
    out.reshape(step.bottoms[0], step.tops[0].shape, to=step.tops[0])


def _reshape_mixes_images(step: Step) -> bool:
    param, bottom, top = step.layer.reshape_param, step.bottoms[0].shape, step.tops[0].shape
    first = param.axis if param.axis >= 0 else param.axis + len(bottom) + 1
    if first > 0:
        return False
    dims = list(param.shape.dim)
    copied = param.num_axes != 0 and dims[:1] == [0]
    # Of an axis that is inferred, as many as there are images, nothing else can depend on their number.
    inferred = param.num_axes == -1 and dims[:1] == [_INFERRED] and top[0] == bottom[0]
    return not (copied or inferred)


@handles("Reshape", mixes_images=_reshape_mixes_images)
def _reshape(step: Step, out: Writer) -> None:
    out.reshape(step.bottoms[0], step.tops[0].shape, to=step.tops[0])
