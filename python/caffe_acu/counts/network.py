"""Counts of a whole network, from its prototxt."""

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from caffe_acu.active_layer import label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import PAPERS, Convention
from caffe_acu.counts.handlers import FREE, HANDLERS, INPUTS
from caffe_acu.counts.handlers.inputs import ImageShape, declared_inputs
from caffe_acu.counts.handlers.registry import LayerCount, Shape
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import in_phase, read_prototxt, stage_cure


class UnknownShape(UserError):
    """A layer needs a shape that the network does not tell; ``what``: the same without the options that would."""

    def __init__(self, what: str, cure: str) -> None:
        super().__init__(f"{what}; {cure}")
        self.what = what


@dataclass(frozen=True)
class Row:
    """A layer's line.

    ``top`` is the shape of its first top, with 1 for the batch; ``shared_with`` names the layers in whose lines
    parameters stand that it uses too.
    """

    name: str
    type: str
    top: Shape
    parameters: int
    multiply_adds: int
    shared_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class TypeCount:
    """A line for all layers of a type that learn or multiply."""

    type: str
    layers: int
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class Uncounted:
    """A layer whose type has no handler: what it learns and multiplies is in no number."""

    name: str
    type: str


@dataclass(frozen=True)
class CountedLayers:
    """The layers of a network in one phase, before any convention; ``batch`` is the first axis of its first input."""

    layers: "list[tuple[caffe_pb2.LayerParameter, LayerCount]]"
    uncounted: list[Uncounted]
    batch: int


@dataclass(frozen=True)
class NetworkCount:
    name: str
    convention: Convention
    rows: list[Row]
    uncounted: list[Uncounted] = field(default_factory=list)

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """For one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def costly_rows(self) -> list[Row]:
        """Those that learn or multiply."""
        return [row for row in self.rows if row.parameters or row.multiply_adds or row.shared_with]

    @property
    def by_type(self) -> list[TypeCount]:
        """In the order in which types first occur."""
        rows: dict[str, list[Row]] = {}
        for row in self.costly_rows:
            rows.setdefault(row.type, []).append(row)
        return [
            TypeCount(type_, len(of), sum(row.parameters for row in of), sum(row.multiply_adds for row in of))
            for type_, of in rows.items()
        ]


def count_file(
    path: str | Path,
    input_shape: ImageShape | None = None,
    convention: Convention = PAPERS,
    same_shape: Collection[str] = (),
    stages: Collection[str] = (),
) -> NetworkCount:
    """Counts a prototxt, with these stages added to its state; see :func:`count_network`."""
    net = read_prototxt(path)
    net.state.stage.extend(stages)
    with naming(path):
        return count_network(net, input_shape, convention, same_shape)


def count_network(
    net: "caffe_pb2.NetParameter",
    input_shape: ImageShape | None = None,
    convention: Convention = PAPERS,
    same_shape: Collection[str] = (),
) -> NetworkCount:
    """Parameters and multiply-adds, layer by layer, of the network in its test phase, for one image.

    Shapes are those of the whole batch, as in Caffe; the multiply-adds of the batch are divided by the first axis of
    the first input. ``input_shape`` (C, H, W) is that of images whose shape the prototxt does not tell.

    A layer of a type without handler is listed as uncounted; so is a Python layer. The rest is counted if none that
    learns or multiplies needs a shape that only such a layer knows. In place, or if its type is in ``same_shape``,
    its tops are shaped as its first bottom.

    UserError names the layers that stand in the way, a missing bottom, an unknown input shape, shared parameters
    that differ in number, and what makes no sense in a layer.
    """
    counted = count_layers(net, input_shape, same_shape)
    return NetworkCount(net.name, convention, _rows(counted, convention), counted.uncounted)


def count_layers(
    net: "caffe_pb2.NetParameter",
    input_shape: ImageShape | None = None,
    same_shape: Collection[str] = (),
    phase: int = caffe_pb2.TEST,
) -> CountedLayers:
    """What each layer has and does, for the whole batch; arguments and errors as in :func:`count_network`."""
    if input_shape is not None and min(input_shape) < 1:
        raise UserError(f"an input of shape {input_shape} is empty")
    known = [type_ for type_ in same_shape if type_ in HANDLERS or type_ in INPUTS]
    if known:
        raise UserError(f"type {known[0]} is known to the counter; its tops are shaped as Caffe shapes them")
    walk = _Walk(input_shape, same_shape, "training" if phase == caffe_pb2.TRAIN else "test", stage_cure(net, phase))
    for layer in [*declared_inputs(net), *net.layer]:
        if in_phase(layer, net.state, phase):
            walk.visit(layer)
    if walk.blocked:
        raise UnknownShape(*_what_blocks(walk))
    uncounted = [Uncounted(layer.name, layer.type) for layer in walk.uncounted]
    return CountedLayers(walk.counts, uncounted, walk.batch or 1)


@dataclass
class _Walk:
    """The way through a network, layer by layer, and what was found on it."""

    input_shape: ImageShape | None
    same_shape: Collection[str]
    phase: str
    stage_cure: str
    shapes: dict[str, Shape | None] = field(default_factory=dict)  # of all tops so far; None where nobody tells it
    counts: "list[tuple[caffe_pb2.LayerParameter, LayerCount]]" = field(default_factory=list)
    uncounted: "list[caffe_pb2.LayerParameter]" = field(default_factory=list)
    blocked: "list[caffe_pb2.LayerParameter]" = field(default_factory=list)  # for want of a shape
    batch: int | None = None

    def visit(self, layer: "caffe_pb2.LayerParameter") -> None:
        missing = [bottom for bottom in layer.bottom if bottom not in self.shapes]
        if missing:
            raise UserError(
                f"layer {layer.name!r}: no layer before it makes its bottom {missing[0]!r} in the {self.phase} phase"
                f"{self.stage_cure}"
            )
        tops = self._tops(layer)
        self.shapes.update(zip(layer.top, [*tops, *[None] * len(layer.top)], strict=False))
        if self.batch is None and not layer.bottom and layer.type != "Parameter" and tops and tops[0]:
            self.batch = tops[0][0]

    def _tops(self, layer: "caffe_pb2.LayerParameter") -> list[Shape | None]:
        """Shapes of the first of its tops; nobody tells those of the others."""
        bottoms = [self.shapes[bottom] for bottom in layer.bottom]
        if layer.type in INPUTS:
            tops = INPUTS[layer.type](layer, self.input_shape)
            self.counts.append((layer, LayerCount([shape for shape in tops[:1] if shape])))
            return tops
        if layer.type not in HANDLERS:
            self.uncounted.append(layer)
            return self._assumed_tops(layer)
        if None not in bottoms:
            self.counts.append((layer, HANDLERS[layer.type](layer, bottoms)))
            return self.counts[-1][1].tops
        if layer.type in FREE:
            self.counts.append((layer, LayerCount([])))
        else:
            self.blocked.append(layer)
        return []

    def _assumed_tops(self, layer: "caffe_pb2.LayerParameter") -> list[Shape | None]:
        """Of a layer without handler."""
        if not layer.bottom:
            return [(1, *self.input_shape)] if self.input_shape else []
        if layer.type in self.same_shape:
            return [self.shapes[layer.bottom[0]]] * len(layer.top)
        return [self.shapes[top] if top in layer.bottom else None for top in layer.top]


def _what_blocks(walk: _Walk) -> tuple[str, str]:
    """And what helps."""
    uncounted, first, others = walk.uncounted, walk.blocked[0], len(walk.blocked) - 1
    bottom = next(bottom for bottom in first.bottom if walk.shapes[bottom] is None)
    need = f"and {others} more need shapes" if others else "needs a shape"
    needed = f"{label(first)} {need} that nobody tells, first that of {bottom!r}"
    if not uncounted:
        return needed, "replace the layer that makes it by one of type Input"
    names: dict[str, list[str]] = {}
    for layer in uncounted:
        names.setdefault(layer.type, []).append(repr(layer.name))
    unknown = ", ".join(f"{type_} ({', '.join(layers)})" for type_, layers in names.items())
    cures = ["--same-shape TYPE where tops are shaped as the first bottom"] if any(x.bottom for x in uncounted) else []
    cures += ["--input C H W where a layer brings images"] if any(not x.bottom for x in uncounted) else []
    return f"types that are not known to the counter: {unknown}; {needed}", f"give {', '.join(cures)}"


def _rows(counted: CountedLayers, convention: Convention) -> list[Row]:
    batch = counted.batch
    owners: dict[str, tuple[str, int]] = {}  # of parameters that have a name: layer, number of values
    rows = []
    for layer, count in counted.layers:
        learned = count.learned
        if count.synapses:
            learned = (*learned, *[convention.coordinate_count(count.synapses)] * 2)
        parameters, shared_with = _own_parameters(layer, learned, owners)
        top = count.tops[0] if count.tops else ()
        rows.append(
            Row(
                name=layer.name,
                type=layer.type,
                top=(1, *top[1:]) if top[:1] == (batch,) else top,
                parameters=parameters,
                multiply_adds=round((count.products + convention.interpolation_cost * count.interpolated) / batch),
                shared_with=shared_with,
            )
        )
    return rows


def _own_parameters(
    layer: "caffe_pb2.LayerParameter", learned: tuple[int, ...], owners: dict[str, tuple[str, int]]
) -> tuple[int, tuple[str, ...]]:
    """Parameters that no layer before has, and the names of the layers that have the others."""
    own, shared_with = 0, {}
    for i, values in enumerate(learned):
        name = layer.param[i].name if i < len(layer.param) else ""
        if not name or name not in owners:
            own += values
            owners[name] = (layer.name, values)
            continue
        owner, size = owners[name]
        if size != values:
            raise UserError(
                f"{label(layer)}: shares the parameter {name!r} with layer {owner!r}, but has {values} values of it "
                f"and not {size}"
            )
        if values:
            shared_with[owner] = None
    return own, tuple(shared_with)
