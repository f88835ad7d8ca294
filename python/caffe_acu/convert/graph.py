"""How the layers of a network hang together: where paths part and join again, how many channels a layer reads."""

from collections.abc import Callable, Mapping, Sequence

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import input_shapes

_INPUT = -1  # stands for whatever no layer makes; all paths come from it

_HAVE_OUTPUTS = ("Convolution", "Deconvolution", *ACTIVE_TYPES)
_KEEP_CHANNELS = frozenset(
    "AbsVal BatchNorm Bias BNLL Clip Crop Dropout Eltwise ELU Exp Log LRN MVN Pooling Power PReLU ReLU Scale Sigmoid "
    "Softmax Split Swish TanH Threshold".split()
)


def last_of_blocks(
    layers: Sequence["caffe_pb2.LayerParameter"], wanted: Callable[["caffe_pb2.LayerParameter"], bool]
) -> set[str]:
    """Names of the last wanted layers on the paths of each block, of the layers of one phase.

    A block ends in a join, and begins at the layer that all paths into the join pass through. A path is followed
    from the join upwards to the first wanted layer, past whatever parts and meets again within it, such as the gate
    of a squeeze-and-excitation block; it ends at another join, whose block has a last layer of its own.
    """
    producers = _producers(layers)
    begins = _dominators(producers)
    found = set()
    for join, bottoms in enumerate(producers):
        if not _joins(layers[join]):
            continue
        for place in bottoms:
            while place != begins[join] and not _joins(layers[place]):
                if wanted(layers[place]):
                    found.add(layers[place].name)
                    break
                place = begins[place]
    return found


def input_channels(net: "caffe_pb2.NetParameter") -> list[int | None]:
    """For each layer the channels of its first bottom; None where that cannot be known, as behind a data layer."""
    inputs = zip(net.input, input_shapes(net), strict=False)
    return _of_first_bottoms(net, {name: shape.dim[1] for name, shape in inputs if len(shape.dim) > 1}, _made)


def input_axes(net: "caffe_pb2.NetParameter") -> list[int | None]:
    """For each layer the number of axes of its first bottom, 4 of an image; None where that cannot be known."""
    inputs = zip(net.input, input_shapes(net), strict=False)
    return _of_first_bottoms(net, {name: len(shape.dim) for name, shape in inputs}, _axes_made)


def unused(name: str, taken: set[str]) -> str:
    """``name``, with underscores behind it if it is in ``taken``, to which it is added."""
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _producers(layers: Sequence["caffe_pb2.LayerParameter"]) -> list[list[int]]:
    """For each layer the layers that make its bottoms: of those that write a blob in place, the last before it."""
    latest: dict[str, int] = {}
    producers = []
    for i, layer in enumerate(layers):
        producers.append([latest.get(bottom, _INPUT) for bottom in layer.bottom])
        latest.update(dict.fromkeys(layer.top, i))
    return producers


def _dominators(producers: list[list[int]]) -> list[int]:
    """For each layer the nearest one that every path into it passes through, its immediate dominator."""
    dominators: list[int] = []
    for bottoms in producers:
        nearest = bottoms[0] if bottoms else _INPUT
        for other in bottoms[1:]:
            while nearest != other:  # a layer comes after its producers, so the later of two cannot be above
                nearest, other = dominators[max(nearest, other)], min(nearest, other)
        dominators.append(nearest)
    return dominators


def _of_first_bottoms(
    net: "caffe_pb2.NetParameter",
    inputs: Mapping[str, int],
    made: Callable[["caffe_pb2.LayerParameter", list[int | None]], int | None],
) -> list[int | None]:
    """What is known of the first bottom of each layer; ``made`` tells it of a layer's tops, given its bottoms."""
    known: dict[str, int | None] = dict(inputs)
    found = []
    for layer in net.layer:
        read = [known.get(bottom) for bottom in layer.bottom]
        found.append(read[0] if read else None)
        known.update(dict.fromkeys(layer.top, made(layer, read)))
    return found


def _joins(layer: "caffe_pb2.LayerParameter") -> bool:
    if layer.type == "Eltwise":
        return layer.eltwise_param.operation != caffe_pb2.EltwiseParameter.PROD  # a product is a gate
    return layer.type == "Concat"


def _made(layer: "caffe_pb2.LayerParameter", read: list[int | None]) -> int | None:
    if layer.type in _HAVE_OUTPUTS:
        return layer.convolution_param.num_output
    if layer.type == "InnerProduct":
        return layer.inner_product_param.num_output
    if layer.type in _KEEP_CHANNELS and read:
        return read[0]
    if layer.type == "Concat" and layer.concat_param.axis == 1 and layer.concat_param.concat_dim == 1:
        return None if None in read else sum(read)
    if layer.type == "Input" and layer.input_param.shape and len(layer.input_param.shape[0].dim) > 1:
        return layer.input_param.shape[0].dim[1]
    return None


def _axes_made(layer: "caffe_pb2.LayerParameter", read: list[int | None]) -> int | None:
    if layer.type == "Input" and layer.input_param.shape:
        return len(layer.input_param.shape[0].dim)
    if layer.type in (*_HAVE_OUTPUTS, *_KEEP_CHANNELS, "Concat") and read:
        return read[0]
    return None
