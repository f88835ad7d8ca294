"""Windows that slide: what a convolution_param says about a bottom, pooling, im2col."""

import math
from dataclasses import dataclass

from caffe_acu.active_layer import Spatial, label, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.handlers.registry import LayerCount, Shape, axis_of, handles, require_axes, require_positive
from caffe_acu.errors import UserError


@dataclass(frozen=True)
class Window:
    """A convolution_param and the bottom it slides over, of shape (*batch, channels, *size)."""

    batch: Shape
    channels: int
    size: Shape
    spatial: Spatial
    extent: Shape  # of the dilated kernel


def read_window(layer: "caffe_pb2.LayerParameter", bottom: Shape) -> Window:
    axis = axis_of(layer, bottom, layer.convolution_param.axis)
    size = bottom[axis + 1 :]
    spatial = read_spatial(layer, len(size))
    if 0 in spatial.kernel:
        raise UserError(f"{label(layer)}: convolution_param.kernel_size is missing")
    require_positive(layer, stride=min(spatial.stride, default=1), dilation=min(spatial.dilation, default=1))
    extent = tuple(d * (k - 1) + 1 for d, k in zip(spatial.dilation, spatial.kernel, strict=True))
    return Window(bottom[:axis], bottom[axis], size, spatial, extent)


def convolved(layer: "caffe_pb2.LayerParameter", size: Shape, extent: Shape, stride: Shape, pad: Shape) -> Shape:
    """Spatial size of a convolution's output; UserError if it is empty."""
    sizes = tuple((n + 2 * p - e) // s + 1 for n, p, e, s in zip(size, pad, extent, stride, strict=True))
    if min(sizes, default=1) < 1:
        raise UserError(f"{label(layer)}: its bottom, {'x'.join(map(str, size))}, is smaller than its kernel")
    return sizes


@handles("Im2col", free=True)
def _im2col(layer, bottoms: list[Shape]) -> LayerCount:
    window = read_window(layer, bottoms[0])
    size = convolved(layer, window.size, window.extent, window.spatial.stride, window.spatial.pad)
    return LayerCount([(*window.batch, window.channels * math.prod(window.spatial.kernel), *size)])


@handles("Pooling", free=True)
def _pooling(layer, bottoms: list[Shape]) -> LayerCount:
    param = layer.pooling_param
    require_axes(layer, bottoms[0], 4, 4)
    count, channels, height, width = bottoms[0]
    if param.global_pooling:
        top = (count, channels, 1, 1)
    else:
        kernel, stride, pad = pooling_window(layer)
        down = param.round_mode == caffe_pb2.PoolingParameter.FLOOR
        top = (count, channels, *_pooled(layer, (height, width), kernel, stride, pad, down))
    return LayerCount([top, top])  # the second: where the largest values stood


def pooling_window(layer: "caffe_pb2.LayerParameter") -> tuple[list[int], list[int], list[int]]:
    """Kernel, stride and pad, (height, width) each, of a Pooling that is not global."""
    param = layer.pooling_param
    kernel, stride, pad = (
        [getattr(param, f"{name}_{axis}") or getattr(param, both) for axis in "hw"]
        for name, both in (("kernel", "kernel_size"), ("stride", "stride"), ("pad", "pad"))
    )
    return kernel, stride, pad


@handles("SPP", free=True)
def _spatial_pyramid(layer, bottoms: list[Shape]) -> LayerCount:
    levels = layer.spp_param.pyramid_height
    require_axes(layer, bottoms[0], 4, 4)
    require_positive(layer, pyramid_height=levels)
    count, channels, *size = bottoms[0]
    for level in range(levels):
        # Windows side by side, the image padded evenly where they are more than it.
        kernels = [-(-n // 2**level) for n in size]
        pads = [(kernel * 2**level - n + 1) // 2 for n, kernel in zip(size, kernels, strict=True)]
        if any(pad >= kernel for pad, kernel in zip(pads, kernels, strict=True)):
            raise UserError(f"{label(layer)}: its bottom of shape {bottoms[0]} is too small for {levels} levels")
    top = (count, channels * sum(4**level for level in range(levels)))
    return LayerCount([top if levels > 1 else (*top, 1, 1)])


def _pooled(layer, size: Shape, kernel: list[int], stride: list[int], pad: list[int], down: bool = False) -> Shape:
    """Caffe rounds up, unless told otherwise; of a padded image it drops a window that would start in the padding."""
    pooled = []
    for n, k, s, p in zip(size, kernel, stride, pad, strict=True):
        if k < 1 or s < 1:
            raise UserError(f"{label(layer)}: kernel and stride must be at least 1, not {k} and {s}")
        if p >= k:
            raise UserError(f"{label(layer)}: padding {p} is not less than the kernel, {k}")
        room = n + 2 * p - k
        windows = (room // s if down else -(-room // s)) + 1
        if any(pad) and (windows - 1) * s >= n + p:  # also along an axis without padding
            windows -= 1
        if windows < 1:
            raise UserError(f"{label(layer)}: its bottom, {'x'.join(map(str, size))}, is smaller than its kernel")
        pooled.append(windows)
    return tuple(pooled)
