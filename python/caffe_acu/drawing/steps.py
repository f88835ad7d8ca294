"""Which layer reads which, in one phase: blobs, layers in place and splits resolved."""

from dataclasses import dataclass
from itertools import zip_longest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.net_param import in_phase, input_shapes


@dataclass(frozen=True)
class Step:
    """A layer, and the indices of the steps whose tops it reads, in the order of its bottoms."""

    layer: "caffe_pb2.LayerParameter"
    sources: tuple[int, ...]


def in_one_phase(net: "caffe_pb2.NetParameter", phase: int) -> "caffe_pb2.NetParameter":
    """The network of that phase alone, its layers without rules, its inputs as layers of type Input."""
    chosen = caffe_pb2.NetParameter(name=net.name)
    for blob, shape in zip_longest(net.input, input_shapes(net)[: len(net.input)]):
        layer = chosen.layer.add(name=blob, type="Input", top=[blob])
        layer.input_param.shape.add().CopyFrom(shape or caffe_pb2.BlobShape())
    for layer in net.layer:
        if in_phase(layer, net.state, phase):
            copy = chosen.layer.add()
            copy.CopyFrom(layer)
            copy.ClearField("include")
            copy.ClearField("exclude")
    return chosen


def steps_of(net: "caffe_pb2.NetParameter", cure: str = "") -> list[Step]:
    """The steps of a network of one phase, in its order, without what leads only to losses: labels.

    UserError names a layer and the bottom that no layer before it makes, and ends with ``cure``.
    """
    steps: list[Step] = []
    makers: dict[str, int] = {}  # of blobs, as they are at this point of the network
    labels: set[int] = set()
    for layer in net.layer:
        for bottom in layer.bottom:
            if bottom not in makers:
                raise UserError(f"layer {layer.name!r}: no layer before it makes its bottom {bottom!r}{cure}")
        sources = [makers[bottom] for bottom in layer.bottom]
        if layer.type == "Split":
            makers.update(dict.fromkeys(layer.top, sources[0]))
            continue
        if layer.type == "Silence":
            continue
        if _judges(layer):
            labels.update(source for source in sources[1:] if not steps[source].sources)
            # An arrow from the first layer to the last tells a reader nothing.
            sources = sources[:1] + [source for source in sources[1:] if steps[source].sources]
        makers.update(dict.fromkeys(layer.top, len(steps)))
        steps.append(Step(layer, tuple(sources)))
    return _without(labels.difference(source for step in steps for source in step.sources), steps)


def _judges(layer: "caffe_pb2.LayerParameter") -> bool:
    return layer.type.endswith("Loss") or layer.type == "Accuracy"


def _without(dropped: set[int], steps: list[Step]) -> list[Step]:
    kept = [i for i in range(len(steps)) if i not in dropped]
    place = {old: new for new, old in enumerate(kept)}
    return [Step(steps[i].layer, tuple(place[source] for source in steps[i].sources)) for i in kept]
