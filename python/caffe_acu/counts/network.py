"""Counts of a whole network, from its prototxt."""

from dataclasses import dataclass
from pathlib import Path

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.handlers import HANDLERS, Shape
from caffe_acu.errors import UserError
from caffe_acu.net_param import in_test_phase, read_prototxt


@dataclass(frozen=True)
class Row:
    """A layer's line: ``top`` is the shape of its first top for a batch of one."""

    name: str
    type: str
    top: Shape
    parameters: int
    multiply_adds: int


@dataclass(frozen=True)
class NetworkCount:
    name: str
    rows: list[Row]

    @property
    def parameters(self) -> int:
        return sum(row.parameters for row in self.rows)

    @property
    def multiply_adds(self) -> int:
        """For one image."""
        return sum(row.multiply_adds for row in self.rows)


def count_file(path: str | Path, input_shape: tuple[int, int, int] | None = None) -> NetworkCount:
    """Counts a prototxt; see :func:`count_network`."""
    net = read_prototxt(path)
    try:
        return count_network(net, input_shape)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def count_network(net: "caffe_pb2.NetParameter", input_shape: tuple[int, int, int] | None = None) -> NetworkCount:
    """Parameters and multiply-adds, layer by layer, of the network in its test phase.

    ``input_shape`` (C, H, W) is what data layers give; a crop_size of theirs stands in for H and W. UserError
    names a layer whose type has no handler, a missing bottom, an unknown input shape, or a shared parameter.
    """
    shapes: dict[str, Shape] = {}
    for name, dims in zip(net.input, net.input_shape, strict=False):
        shapes[name] = (1, *dims.dim[1:])
    rows = []
    owners: dict[str, str] = {}  # of parameters that have a name
    for layer in net.layer:
        if not in_test_phase(layer, net.state):
            continue
        for param in layer.param:
            if param.name and param.name in owners:
                raise UserError(
                    f"layer {layer.name!r}: shares the parameter {param.name!r} with layer {owners[param.name]!r}; "
                    "networks with shared parameters cannot be counted"
                )
            owners[param.name] = layer.name
        if layer.type == "Data":
            shapes.update(dict.fromkeys(layer.top, ()))
            shapes[layer.top[0]] = (1, *_data_shape(layer, input_shape))
            continue
        if layer.type not in HANDLERS:
            raise UserError(f"layer {layer.name!r}: type {layer.type} is not known to the counter")
        missing = [bottom for bottom in layer.bottom if bottom not in shapes]
        if missing:
            raise UserError(f"layer {layer.name!r}: no layer before it makes its bottom {missing[0]!r}")
        count = HANDLERS[layer.type](layer, [shapes[bottom] for bottom in layer.bottom])
        tops = [(1, *top[1:]) if top else top for top in count.tops]
        shapes.update(zip(layer.top, tops, strict=False))
        rows.append(Row(layer.name, layer.type, tops[0] if tops else (), count.parameters, count.multiply_adds))
    return NetworkCount(net.name, rows)


def _data_shape(layer: "caffe_pb2.LayerParameter", given: tuple[int, int, int] | None) -> Shape:
    if given is None:
        raise UserError(f"layer {layer.name!r}: the size of its images is in the database; give --input C H W")
    crop = layer.transform_param.crop_size
    return (given[0], crop or given[1], crop or given[2])
