"""What a layer of active convolutions is, as its description says: the Python twin of ``ReadSettings`` in C++.

Two dialects: type ``ACU`` with ``acu_param``, and the authors' ``AConvFast`` with ``aconv_param``.
Pairs are (height, width), as in Caffe.
"""

import math
from dataclasses import dataclass

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError

ACU, ACONV_FAST = "ACU", "AConvFast"
ACTIVE_TYPES = (ACU, ACONV_FAST)
AT_ORIGIN = -2  # the synapse that sits at exactly (0, 0), if there is one
NO_SYNAPSE = -1

Pair = tuple[int, int]


@dataclass(frozen=True)
class Spatial:
    """The spatial part of a convolution_param, for two axes."""

    kernel: Pair
    stride: Pair
    pad: Pair
    dilation: Pair


@dataclass(frozen=True)
class ActiveLayer:
    """Geometry and start of an active convolution."""

    name: str
    type: str
    kernel: Pair  # last axes of the blobs; K is their product
    extent: Pair  # what the output size is computed from: out = (in + 2 pad - extent) // stride + 1
    centre: Pair  # the base point within the extent
    stride: Pair
    pad: Pair
    sets: int  # position sets
    start_x: np.ndarray  # (K,) pixels to the right, float64; the same for every set, without noise
    start_y: np.ndarray  # (K,) pixels down
    noise: float  # standard deviation of the start, in pixels
    fixed_rule: int  # index of the synapse that never moves, NO_SYNAPSE or AT_ORIGIN
    warmup_iter: int

    @property
    def synapses(self) -> int:
        return self.kernel[0] * self.kernel[1]

    def fixed(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Index of the fixed synapse of each set, or -1, for positions (sets, K): as the solver decides it."""
        if self.fixed_rule != AT_ORIGIN:
            return np.full(len(x), self.fixed_rule)
        at_origin = (x == 0) & (y == 0)
        return np.where(at_origin.any(axis=1), at_origin.argmax(axis=1), NO_SYNAPSE)


def read_active_layer(layer: "caffe_pb2.LayerParameter") -> ActiveLayer:
    """Reads a layer of one of ACTIVE_TYPES; UserError, with the layer's name, if it makes no sense."""
    return {ACU: _read_acu, ACONV_FAST: _read_aconv_fast}[layer.type](layer)


def lattice(kernel: Pair, dilation: tuple[float, float] = (1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a convolution's taps in raster order, from the tap (kh div 2, kw div 2); (K,) each."""
    i, j = np.mgrid[: kernel[0], : kernel[1]]
    x = (j - kernel[1] // 2) * float(dilation[1])
    y = (i - kernel[0] // 2) * float(dilation[0])
    return x.ravel(), y.ravel()


def ring(synapses: int, radius: float, angle: float, rounded: bool) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the authors' start: synapse 0 at (0, 0), the others evenly on a ring; (K,) each.

    ``angle``, in radians, is that of synapse 1, from the x axis towards y (downwards).
    """
    points = [(0.0, 0.0)]
    for i in range(1, synapses):
        t = 2 * math.pi * (i - 1) / (synapses - 1) + angle
        points.append((radius * math.cos(t), radius * math.sin(t)))
    x, y = np.array(points).T
    return (_round(x), _round(y)) if rounded else (x, y)


def _round(values: np.ndarray) -> np.ndarray:
    # Halves away from zero, as std::round does (np.round takes them to even); + 0.0 makes -0 a 0.
    return np.trunc(values + np.copysign(0.5, values)) + 0.0


def aconv_param(layer: "caffe_pb2.LayerParameter") -> "caffe_pb2.AConvParameter":
    """The parameters of an AConvFast layer, also where they are hidden.

    The authors' fork wrote them into field 147 of LayerParameter, which is swish_param in BVLC Caffe. There
    they survive as unknown fields; field 1 does too, since the wire type of ``pad`` is not that of ``beta``.
    """
    if layer.HasField("aconv_param") or not layer.HasField("swish_param"):
        return layer.aconv_param
    return caffe_pb2.AConvParameter.FromString(layer.swish_param.SerializeToString())


def label(layer: "caffe_pb2.LayerParameter") -> str:
    return f"layer {layer.name!r} ({layer.type})"


def read_spatial(layer: "caffe_pb2.LayerParameter") -> Spatial:
    """Kernel, stride, pad and dilation in all of Caffe's spellings; a kernel that is not given is (0, 0)."""
    param = layer.convolution_param

    def pair(name: str, if_absent: int) -> Pair:
        values = list(getattr(param, "kernel_size" if name == "kernel" else name))
        if param.HasField(f"{name}_h") or param.HasField(f"{name}_w"):
            values = [getattr(param, f"{name}_h"), getattr(param, f"{name}_w")]
        if len(values) > 2:
            raise UserError(f"{label(layer)}: {name} has {len(values)} values; only two axes are supported")
        return (values[0], values[-1]) if values else (if_absent, if_absent)

    dilation = list(param.dilation) or [1]
    return Spatial(pair("kernel", 0), pair("stride", 1), pair("pad", 0), (dilation[0], dilation[-1]))


def _require_one_group(layer: "caffe_pb2.LayerParameter") -> None:
    if layer.convolution_param.group != 1:
        raise UserError(f"{label(layer)}: group {layer.convolution_param.group}; active convolutions have one")


def _read_acu(layer: "caffe_pb2.LayerParameter") -> ActiveLayer:
    param, spatial = layer.acu_param, read_spatial(layer)
    _require_one_group(layer)
    if param.position:
        if max(spatial.kernel) > 1:
            raise UserError(f"{label(layer)}: both kernel_size and acu_param.position are given")
        kernel, extent, centre = (1, len(param.position)), (1, 1), (0, 0)
        x = np.array([position.x for position in param.position])
        y = np.array([position.y for position in param.position])
    else:
        if min(spatial.kernel) < 1:
            raise UserError(f"{label(layer)}: neither kernel_size nor acu_param.position is given")
        kernel = spatial.kernel
        extent = _pair(lambda axis: spatial.dilation[axis] * (kernel[axis] - 1) + 1)
        centre = _pair(lambda axis: spatial.dilation[axis] * (kernel[axis] // 2))
        x, y = lattice(kernel, spatial.dilation)
    return ActiveLayer(
        name=layer.name,
        type=layer.type,
        kernel=kernel,
        extent=extent,
        centre=centre,
        stride=spatial.stride,
        pad=spatial.pad,
        sets=1,
        start_x=x * param.dilation,
        start_y=y * param.dilation,
        noise=param.position_noise,
        fixed_rule=param.fixed_synapse if param.HasField("fixed_synapse") else AT_ORIGIN,
        warmup_iter=param.warmup_iter,
    )


def _read_aconv_fast(layer: "caffe_pb2.LayerParameter") -> ActiveLayer:
    param, spatial = aconv_param(layer), read_spatial(layer)
    _require_one_group(layer)
    if min(spatial.kernel) < 1:
        raise UserError(f"{label(layer)}: convolution_param.kernel_size is missing")
    kernel, pad, extent = spatial.kernel, spatial.pad, spatial.kernel
    centre = _pair(lambda axis: kernel[axis] // 2)
    if param.type != caffe_pb2.AConvParameter.SQUARE:
        pad = (
            param.pad_h if param.HasField("pad_h") else param.pad,
            param.pad_w if param.HasField("pad_w") else param.pad,
        )
        extent, centre = (1, 1), (0, 0)
    rounded = param.pos_filler_std < 0
    x, y = ring(kernel[0] * kernel[1], param.base_radius, param.base_angle, rounded)
    return ActiveLayer(
        name=layer.name,
        type=layer.type,
        kernel=kernel,
        extent=extent,
        centre=centre,
        stride=spatial.stride,
        pad=pad,
        sets=param.position_group,
        start_x=x,
        start_y=y,
        noise=0.0 if rounded else param.pos_filler_std * param.base_radius,
        fixed_rule=0,
        warmup_iter=0,
    )


def _pair(of_axis) -> Pair:
    return of_axis(0), of_axis(1)
