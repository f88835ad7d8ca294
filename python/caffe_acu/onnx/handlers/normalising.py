"""Normalisation: by stored statistics, by learned factors and terms, by neighbours."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.onnx.dataflow import Dataflow, Step, Value
from caffe_acu.onnx.handlers.registry import axis_of, handles, refuse
from caffe_acu.onnx.writer import Writer


def with_affine(flow: Dataflow) -> list[Step]:
    """The steps, where a Scale or Bias of channels that alone reads a BatchNorm has become part of it."""
    affine = {}  # by the name of the value between
    for step in flow.steps:
        readers = flow.readers.get(step.tops[0].name, ()) if step.layer.type == "BatchNorm" else ()
        if len(readers) == 1 and _is_affine(readers[0], channels=step.tops[0].shape[1]):
            affine[step.tops[0].name] = readers[0]
    taken = [id(step) for step in affine.values()]
    steps = []
    for step in flow.steps:
        if id(step) in taken:
            continue
        follower = affine.get(step.tops[0].name) if step.tops else None
        steps.append(replace(step, tops=follower.tops, affine=follower) if follower else step)
    return steps


def _is_affine(step: Step, channels: int) -> bool:
    if step.layer.type not in ("Scale", "Bias") or len(step.bottoms) != 1:
        return False
    return _affine_axis(step) == 1 and step.blobs[0].shape == (channels,)


@handles("BatchNorm")
def _batch_norm(step: Step, out: Writer) -> None:
    param = step.layer.batch_norm_param
    if param.HasField("use_global_stats") and not param.use_global_stats:
        refuse(step, "normalises with the batch's own statistics, also in the test phase; leave out use_global_stats")
    mean, variance, count = (blob.astype(np.float64) for blob in step.blobs)
    share = 1 / count.item() if count.item() else 0.0  # the statistics are sums, weighted by age
    factor, term = np.ones(len(mean)), np.zeros(len(mean))
    if step.affine:
        learned = list(step.affine.blobs)
        factor = learned.pop(0) if step.affine.layer.type == "Scale" else factor
        term = learned.pop(0) if learned else term
    out.node(
        "BatchNormalization",
        step.bottoms[0],
        out.constant("scale", factor),
        out.constant("bias", term),
        out.constant("mean", mean * share),
        out.constant("variance", variance * share),
        to=step.tops[0],
        epsilon=param.eps,
    )


def _affine_axis(step: Step) -> int:
    param = step.layer.scale_param if step.layer.type == "Scale" else step.layer.bias_param
    return axis_of(step.bottoms[0], param.axis)


def _affine_mixes_images(step: Step) -> bool:
    """Learned numbers, of which there is one for each image."""
    learned = step.blobs[0].ndim if step.blobs else 0
    return _affine_axis(step) == 0 and learned > 0


@handles("Scale", mixes_images=_affine_mixes_images)
def _scale(step: Step, out: Writer) -> None:
    learned = list(step.blobs)
    if len(step.bottoms) > 1:
        factor = _spread_bottom(step, out)
    else:
        factor = _spread_blob(step, out, "scale", learned.pop(0))
    if not learned:
        out.node("Mul", step.bottoms[0], factor, to=step.tops[0])
        return
    product = out.node("Mul", step.bottoms[0], factor)
    out.node("Add", product, _spread_blob(step, out, "bias", learned[0]), to=step.tops[0])


@handles("Bias", mixes_images=_affine_mixes_images)
def _bias(step: Step, out: Writer) -> None:
    if len(step.bottoms) > 1:
        term = _spread_bottom(step, out)
    else:
        term = _spread_blob(step, out, "bias", step.blobs[0])
    out.node("Add", step.bottoms[0], term, to=step.tops[0])


def _spread_blob(step: Step, out: Writer, role: str, blob: np.ndarray) -> str:
    return out.constant(role, blob.reshape(_spread(step, blob.shape)))


def _spread_bottom(step: Step, out: Writer) -> str | Value:
    """The second bottom, in a shape that ONNX spreads over the first as Caffe does."""
    second = step.bottoms[1]
    wanted = _spread(step, second.shape)
    if wanted == second.shape:
        return second
    if _affine_axis(step) == 0:  # its first axis is the batch
        return out.reshape(second, wanted)
    return out.node("Reshape", second, out.constant("shape", np.array(wanted)))


def _spread(step: Step, shape: Sequence[int]) -> tuple[int, ...]:
    """Ones behind the axes that numbers of this ``shape`` are for; ONNX sets those in front by itself."""
    behind = len(step.bottoms[0].shape) - _affine_axis(step) - len(shape)
    return (*shape, *[1] * (behind if shape else 0))


@handles("LRN")
def _lrn(step: Step, out: Writer) -> None:
    param, bottom, top = step.layer.lrn_param, step.bottoms[0], step.tops[0]
    size, alpha, beta = param.local_size, param.alpha, param.beta
    if param.norm_region == caffe_pb2.LRNParameter.ACROSS_CHANNELS:
        out.node("LRN", bottom, to=top, size=size, alpha=alpha, beta=beta, bias=param.k)
        return
    # Within a channel: the mean of the squares around a pixel, zeros beyond the border included. Caffe takes no k here.
    square = out.node("Mul", bottom, bottom)
    mean = out.node(
        "AveragePool", square, kernel_shape=[size] * 2, pads=[(size - 1) // 2] * 4, strides=[1, 1], count_include_pad=1
    )
    shifted = out.node("Add", out.node("Mul", mean, out.number("alpha", alpha)), out.number("one", 1))
    out.node("Mul", bottom, out.node("Pow", shifted, out.number("power", -beta)), to=top)
