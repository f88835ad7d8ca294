"""Receptive fields through a whole network: which input pixels a unit of a layer depends on, ACUs where they learned.

Along each axis, unit i of a layer reads from its bottom the units i stride + t, t from the first to the last of its
taps; what those read in turn adds up, steps multiplied by the strides passed (their product is the jump). A synapse
between pixels takes its sample from both neighbours (equation 9), so with whole pixels each ACU reaches at both ends
to the next whole one; the real-valued extent has it where it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from caffe_acu.active_layer import ACTIVE_TYPES, label, read_active_layer, read_spatial
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.handlers import HANDLERS
from caffe_acu.counts.handlers.inputs import declared_inputs
from caffe_acu.counts.handlers.registry import require_positive
from caffe_acu.counts.handlers.windows import pooling_window
from caffe_acu.errors import UserError
from caffe_acu.inspection.box import Box
from caffe_acu.kernels import statistics
from caffe_acu.layer_positions import LayerPositions
from caffe_acu.net_param import in_test_phase, stage_cure
from caffe_acu.start_shapes import Pair


@dataclass(frozen=True)
class ReceptiveField:
    """Of the units of a layer, as tested, away from the borders, where padding takes some of it away.

    Unit (row, column) sees the boxes, which are those of unit (0, 0) and may begin outside the image, ``jump`` times
    (row, column) further. They are around what all channels see together. Where groups with different position sets
    follow one another without a layer between that mixes them, no single channel may see all of it.
    """

    jump: Pair  # input pixels between neighbouring units, down and to the right
    extent: Box  # real-valued: as if every ACU took its samples at the points themselves
    pixels: Box  # whole pixels, those that the four neighbours of each synapse depend on


@dataclass(frozen=True)
class WholeImage:
    """A unit depends on all pixels, whatever their number."""

    through: str  # the layer since which it does


@dataclass(frozen=True)
class NotFollowed:
    """What a unit depends on is not known."""

    why: str  # names the layer


Reach = ReceptiveField | WholeImage | NotFollowed
_PIXEL = ReceptiveField((1, 1), Box(0, 0, 0, 0), Box(0, 0, 0, 0))


def receptive_fields(net: "caffe_pb2.NetParameter", layers: Sequence[LayerPositions]) -> dict[str, Reach]:
    """What a unit of each layer's first top depends on, in input pixels, by layer name in the order of the network.

    Args:
        net: of a prototxt, whose test phase is taken, or as Caffe saved it in a caffemodel.
        layers: positions of all its active layers, from anywhere.

    Input pixels are those that the data layer brings, after its crop. UserError if a bottom is missing, a layer makes
    no sense, or the positions are not those of this network.
    """
    positions = {layer.layer: layer for layer in layers}
    present = _layers(net)
    _require_same(present, positions)
    reaches: dict[str, Reach] = {}  # by blob
    found: dict[str, Reach] = {}
    for layer in present:
        missing = [bottom for bottom in layer.bottom if bottom not in reaches]
        if missing:
            cure = stage_cure(net, caffe_pb2.TEST)
            raise UserError(f"{label(layer)}: no layer before it makes its bottom {missing[0]!r}{cure}")
        bottoms = [reaches[bottom] for bottom in layer.bottom]
        if layer.type in _TOP_OF_EACH_BOTTOM:
            tops = [_reach(layer, [bottom], positions) for bottom in bottoms]
        else:
            tops = [_reach(layer, bottoms, positions)] * len(layer.top)
        reaches.update(zip(layer.top, tops, strict=False))
        if layer.top:
            found[layer.name] = reaches[layer.top[0]]
    return found


def _layers(net: "caffe_pb2.NetParameter") -> "list[caffe_pb2.LayerParameter]":
    # In what Caffe saved every layer has its phase, and those of another are gone.
    saved = all(layer.HasField("phase") for layer in net.layer)
    return [*declared_inputs(net), *(layer for layer in net.layer if saved or in_test_phase(layer, net.state))]


def _require_same(present: "list[caffe_pb2.LayerParameter]", positions: Mapping[str, LayerPositions]) -> None:
    active = {layer.name: layer for layer in present if layer.type in ACTIVE_TYPES}
    if absent := [name for name in positions if name not in active]:
        raise UserError(f"no ACU layer {absent[0]!r} in the network; give the one that these positions are of")
    for name, layer in active.items():
        if name not in positions:
            raise UserError(f"no positions for {label(layer)}; give those of all ACU layers of this network")
        kernel = read_active_layer(layer).kernel
        if kernel != positions[name].kernel_size:
            height, width = positions[name].kernel_size
            raise UserError(
                f"{label(layer)}: a kernel of {kernel[0]}x{kernel[1]}, the positions are of {height}x{width}"
            )


def _reach(
    layer: "caffe_pb2.LayerParameter", bottoms: Sequence[Reach], positions: Mapping[str, LayerPositions]
) -> Reach:
    if not bottoms:
        return NotFollowed(f"{label(layer)} has no bottom") if layer.type in HANDLERS else _PIXEL
    below = _together(layer, bottoms)
    if isinstance(below, NotFollowed):
        return below
    if _sees_all(layer):
        return WholeImage(layer.name)
    if isinstance(below, WholeImage):
        return below
    if layer.type in _AXIS and _AXIS[layer.type](layer) not in (1, -3):
        return NotFollowed(f"not followed through {label(layer)}, which works along another axis than channels")
    if layer.type in ACTIVE_TYPES:
        return _through_synapses(layer, below, positions[layer.name])
    if layer.type in _WINDOWS:
        first, last, stride = _WINDOWS[layer.type](layer)
        box = Box(first[1], first[0], last[1], last[0])
        return _through(below, box, box, stride)
    return below if layer.type in _KEEP_PLACES else NotFollowed(f"not followed through {label(layer)}")


def _together(layer: "caffe_pb2.LayerParameter", bottoms: Sequence[Reach]) -> Reach:
    """What all bottoms depend on."""
    for kind in (NotFollowed, WholeImage):
        for bottom in bottoms:
            if isinstance(bottom, kind):
                return bottom
    together, *others = bottoms
    for other in others:
        if other.jump != together.jump:
            return NotFollowed(
                f"{label(layer)}: its bottoms have steps of {together.jump} and {other.jump} input pixels"
            )
        together = ReceptiveField(
            together.jump, together.extent.around(other.extent), together.pixels.around(other.pixels)
        )
    return together


def _through(below: ReceptiveField, extent: Box, pixels: Box, stride: Pair) -> ReceptiveField:
    """``extent``, ``pixels``: what unit (0, 0) of the layer reads, in units of its bottom."""
    jump = (below.jump[0] * stride[0], below.jump[1] * stride[1])
    return ReceptiveField(jump, below.extent.beyond(extent, below.jump), below.pixels.beyond(pixels, below.jump))


def _through_synapses(
    layer: "caffe_pb2.LayerParameter", below: ReceptiveField, positions: LayerPositions
) -> ReceptiveField:
    active = read_active_layer(layer)
    base = Box(*2 * (active.centre[1] - active.pad[1], active.centre[0] - active.pad[0]))
    return _through(
        below,
        base.beyond(extent_of(positions), (1, 1)),
        base.beyond(pixels_of(positions), (1, 1)),
        active.stride,
    )


def extent_of(positions: LayerPositions) -> Box:
    """Around the synapses of all sets, in pixels of the layer's bottom, from the base point."""
    x, y = positions.x, positions.y
    return Box(float(x.min()), float(y.min()), float(x.max()), float(y.max()))


def pixels_of(positions: LayerPositions) -> Box:
    """Around the pixels from which the layer takes its samples: where its dense kernel is not 0.

    UserError, with the layer's name, if a position is out of all proportion.
    """
    try:
        kernel = statistics(positions.x, positions.y)
    except UserError as error:
        raise UserError(f"layer {positions.layer!r}: {error}") from error
    (top, left), (height, width) = kernel.origin, kernel.size
    return Box(left, top, left + width - 1, top + height - 1)


_Window = tuple[Pair, Pair, Pair]  # rows and columns of the first tap and of the last one, for unit (0, 0); stride


def _convolution(layer: "caffe_pb2.LayerParameter") -> _Window:
    spatial = read_spatial(layer)
    return _window(layer, spatial.kernel, spatial.stride, spatial.pad, spatial.dilation)


def _pooling(layer: "caffe_pb2.LayerParameter") -> _Window:
    return _window(layer, *pooling_window(layer))


def _normalization(layer: "caffe_pb2.LayerParameter") -> _Window:
    size = layer.lrn_param.local_size if layer.lrn_param.norm_region == caffe_pb2.LRNParameter.WITHIN_CHANNEL else 1
    return _window(layer, (size, size), (1, 1), ((size - 1) // 2,) * 2)


def _window(
    layer: "caffe_pb2.LayerParameter",
    kernel: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int],
    dilation: Sequence[int] = (1, 1),
) -> _Window:
    require_positive(layer, kernel_size=min(kernel), stride=min(stride))
    last = [d * (k - 1) - p for k, p, d in zip(kernel, pad, dilation, strict=True)]
    return (-pad[0], -pad[1]), (last[0], last[1]), (stride[0], stride[1])


def _sees_all(layer: "caffe_pb2.LayerParameter") -> bool:
    return layer.type in ("InnerProduct", "MVN") or (layer.type == "Pooling" and layer.pooling_param.global_pooling)


def _axis(param: str, older: str | None = None) -> Callable[["caffe_pb2.LayerParameter"], int]:
    def read(layer: "caffe_pb2.LayerParameter") -> int:
        message = getattr(layer, param)
        return getattr(message, older if older and message.HasField(older) else "axis")

    return read


_TOP_OF_EACH_BOTTOM = ("Convolution", *ACTIVE_TYPES)
_WINDOWS: dict[str, Callable[["caffe_pb2.LayerParameter"], _Window]] = {
    "Convolution": _convolution,
    "Pooling": _pooling,
    "LRN": _normalization,
}
_KEEP_PLACES = frozenset(
    "AbsVal BatchNorm Bias BNLL Clip Concat Dropout Eltwise ELU Exp Log Power PReLU ReLU Scale Sigmoid Slice Softmax "
    "Split Swish TanH Threshold".split()
)
_AXIS = {
    "Concat": _axis("concat_param", "concat_dim"),
    "Convolution": _axis("convolution_param"),
    "Slice": _axis("slice_param", "slice_dim"),
    "Softmax": _axis("softmax_param"),
}
