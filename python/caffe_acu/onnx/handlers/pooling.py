"""Pooling. Caffe rounds sizes up and lets windows hang over the image, by rules of its own.

ONNX has a ceil mode too, which engines read differently. Here sizes are computed, and what hangs over becomes
padding: that is the same everywhere.
"""

from dataclasses import dataclass

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.handlers.windows import pooling_window
from caffe_acu.onnx.dataflow import Step
from caffe_acu.onnx.handlers.registry import handles, refuse
from caffe_acu.onnx.writer import Writer

_LEAST = -np.finfo(np.float32).max  # what Caffe's maximum begins with


@dataclass(frozen=True)
class _Axis:
    """The windows along an axis of an image of ``size`` pixels."""

    size: int
    windows: int
    kernel: int
    stride: int
    pad: int

    @property
    def starts(self) -> np.ndarray:
        return np.arange(self.windows) * self.stride - self.pad

    @property
    def beyond(self) -> int:
        """Pixels that the last window needs behind the image."""
        return max(int(self.starts[-1]) + self.kernel - self.size, 0)

    @property
    def last_is_empty(self) -> bool:
        """The last window begins behind the image: strides are longer than the kernel, and nothing is padded."""
        return bool(self.starts[-1] >= self.size)

    @property
    def counted(self) -> np.ndarray:
        """Pixels by which Caffe's average divides: those of the window on the padded image."""
        return np.minimum(self.starts + self.kernel, self.size + self.pad) - self.starts


@handles("Pooling")
def _pooling(step: Step, out: Writer) -> None:
    param, bottom, top = step.layer.pooling_param, step.bottoms[0], step.tops[0]
    kinds = caffe_pb2.PoolingParameter
    if param.pool == kinds.STOCHASTIC:
        refuse(step, "pools at random (STOCHASTIC), which Caffe itself does on a GPU only; use MAX or AVE")
    if len(step.tops) > 1:
        refuse(step, f"tells in {step.tops[1].blob!r} where maxima stood; leave out that top")
    largest = param.pool == kinds.MAX
    if param.global_pooling:
        out.node("GlobalMaxPool" if largest else "GlobalAveragePool", bottom, to=top)
        return
    windows = zip(bottom.shape[2:], top.shape[2:], *pooling_window(step.layer), strict=True)
    (_max_pool if largest else _average_pool)(step, out, [_Axis(*axis) for axis in windows])


def _max_pool(step: Step, out: Writer, axes: list[_Axis]) -> None:
    image, pads = step.bottoms[0].name, _pads(axes)
    if any(axis.last_is_empty for axis in axes):  # more padding than a pooling may have
        widths = out.constant("pads", np.array([0, 0, *pads[:2], 0, 0, *pads[2:]]))
        image, pads = out.node("Pad", image, widths, out.number("least", _LEAST)), [0] * 4
    out.node("MaxPool", image, to=step.tops[0], pads=pads, **_windows(axes))


def _average_pool(step: Step, out: Writer, axes: list[_Axis]) -> None:
    if any(axis.last_is_empty for axis in axes):
        refuse(step, "has a last window beyond the image, the average of which is not a number; make its stride "
               "smaller, or the input of another size")  # fmt: skip
    padded = any(axis.pad for axis in axes)
    options = {"pads": _pads(axes), "count_include_pad": int(padded), **_windows(axes)}
    kernel, counted = np.prod([axis.kernel for axis in axes]), np.outer(*(axis.counted for axis in axes))
    if not padded or (counted == kernel).all():
        out.node("AveragePool", step.bottoms[0], to=step.tops[0], **options)
        return
    # ONNX divides by the whole kernel, Caffe where it hangs over the padding too by less.
    mean = out.node("AveragePool", step.bottoms[0], **options)
    out.node("Mul", mean, out.constant("kernel_to_counted", kernel / counted), to=step.tops[0])


def _pads(axes: list[_Axis]) -> list[int]:
    return [*(axis.pad for axis in axes), *(axis.beyond for axis in axes)]


def _windows(axes: list[_Axis]) -> dict[str, list[int]]:
    return {"kernel_shape": [axis.kernel for axis in axes], "strides": [axis.stride for axis in axes]}
