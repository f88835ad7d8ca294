"""What a layer of active convolutions is, as its description says: the Python twin of ``ReadSettings`` in C++.

Two dialects: types ``ACU`` and ``GroupedACU`` with ``acu_param``, and the authors' ``AConvFast`` with ``aconv_param``.
Pairs are (height, width), as in Caffe.
"""

from dataclasses import dataclass

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.start_shapes import Pair, lattice, ring

ACU, GROUPED_ACU, ACONV_FAST = "ACU", "GroupedACU", "AConvFast"
ACTIVE_TYPES = (ACU, GROUPED_ACU, ACONV_FAST)
AT_ORIGIN = -2  # the synapse that sits at exactly (0, 0), if there is one
NO_SYNAPSE = -1


@dataclass(frozen=True)
class Spatial:
    """The spatial part of a convolution_param: a value for each axis, (height, width) if there are two."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]


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
    groups: int  # of the convolution
    sets: int  # position sets
    sets_slice_outputs: bool  # the authors' meaning: a set serves a slice of the outputs, not of the input channels
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
        return fixed_synapses(self.fixed_rule, x, y)


def fixed_synapses(rule: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """See :meth:`ActiveLayer.fixed`; ``rule`` is an index, NO_SYNAPSE or AT_ORIGIN."""
    if rule != AT_ORIGIN:
        return np.full(len(x), rule)
    at_origin = (x == 0) & (y == 0)
    return np.where(at_origin.any(axis=1), at_origin.argmax(axis=1), NO_SYNAPSE)


def read_active_layer(layer: "caffe_pb2.LayerParameter") -> ActiveLayer:
    """Reads a layer of one of ACTIVE_TYPES; UserError, with the layer's name, if it makes no sense."""
    return {ACU: _read_acu, GROUPED_ACU: _read_acu, ACONV_FAST: _read_aconv_fast}[layer.type](layer)


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


def read_spatial(layer: "caffe_pb2.LayerParameter", axes: int = 2) -> Spatial:
    """Kernel, stride, pad and dilation in all of Caffe's spellings; a kernel that is not given is 0.

    UserError for a field with another number of values than one, or one for each of ``axes``.
    """
    param = layer.convolution_param

    def values(name: str, if_absent: int) -> tuple[int, ...]:
        given = list(getattr(param, "kernel_size" if name == "kernel" else name))
        if name != "dilation" and (param.HasField(f"{name}_h") or param.HasField(f"{name}_w")):
            given = [getattr(param, f"{name}_h"), getattr(param, f"{name}_w")]
        if len(given) > 1 and len(given) != axes:
            raise UserError(f"{label(layer)}: {name} has {len(given)} values for {axes} spatial axes")
        return tuple(given) if len(given) > 1 else tuple(given or [if_absent]) * axes

    return Spatial(values("kernel", 0), values("stride", 1), values("pad", 0), values("dilation", 1))


def check_division(layer: "caffe_pb2.LayerParameter", active: ActiveLayer, channels: int) -> None:
    """UserError unless groups and position sets divide what they have to."""
    outputs = layer.convolution_param.num_output
    if channels % active.groups or outputs % active.groups:
        raise UserError(
            f"{label(layer)}: {active.groups} groups do not divide both {channels} channels and {outputs} outputs"
        )
    divided, what = (outputs, "outputs") if active.sets_slice_outputs else (channels, "input channels")
    if divided % active.sets:
        raise UserError(f"{label(layer)}: {active.sets} position sets do not divide {divided} {what}")


def _require_one_group(layer: "caffe_pb2.LayerParameter") -> None:
    if layer.convolution_param.group != 1:
        raise UserError(
            f"{label(layer)}: group {layer.convolution_param.group}; only a {GROUPED_ACU} has more than one"
        )


def _read_groups(layer: "caffe_pb2.LayerParameter") -> tuple[int, int]:
    """Convolution groups and position sets of an ACU or GroupedACU."""
    group, param = layer.convolution_param.group, layer.acu_param
    sets = param.position_group if param.HasField("position_group") else group
    if layer.type == ACU:
        _require_one_group(layer)
        if sets != 1:
            raise UserError(f"{label(layer)}: position_group {sets}; only a {GROUPED_ACU} has more than one set")
    if group < 1 or sets < 1:
        raise UserError(f"{label(layer)}: group {group} and position_group {sets}; both must be at least 1")
    return group, sets


def _read_acu(layer: "caffe_pb2.LayerParameter") -> ActiveLayer:
    param, spatial = layer.acu_param, read_spatial(layer)
    groups, sets = _read_groups(layer)
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
    if param.HasField("num_synapses") and param.num_synapses != len(x):
        raise UserError(f"{label(layer)}: acu_param.num_synapses is {param.num_synapses}, but it has {len(x)}")
    if param.HasField("fixed_synapse") and not -1 <= param.fixed_synapse < len(x):
        raise UserError(
            f"{label(layer)}: acu_param.fixed_synapse is {param.fixed_synapse}; the synapses are 0 to {len(x) - 1}, "
            "and -1 fixes none"
        )
    return ActiveLayer(
        name=layer.name,
        type=layer.type,
        kernel=kernel,
        extent=extent,
        centre=centre,
        stride=spatial.stride,
        pad=spatial.pad,
        groups=groups,
        sets=sets,
        sets_slice_outputs=False,
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
    if param.position_group < 1:
        raise UserError(f"{label(layer)}: aconv_param.position_group is 0; it must be at least 1")
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
        groups=1,
        sets=param.position_group,
        sets_slice_outputs=True,
        start_x=x,
        start_y=y,
        noise=0.0 if rounded else param.pos_filler_std * param.base_radius,
        fixed_rule=0,
        warmup_iter=0,
    )


def _pair(of_axis) -> Pair:
    return of_axis(0), of_axis(1)
