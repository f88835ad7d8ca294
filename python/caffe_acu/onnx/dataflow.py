"""A network in which every value is written once: what layers write in place becomes a new value.

Blobs keep their names. Of several values in one blob the last is called as the blob, since it is what pycaffe finds
there; but an input is called as its blob, and what a layer then writes over it as blob and layer.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from caffe_acu.active_layer import label
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.graph import unused
from caffe_acu.errors import UserError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Value:
    name: str  # no other value has it
    blob: str
    shape: Shape  # in Caffe, with the batch of the prototxt


@dataclass(frozen=True)
class Step:
    """A layer, with the values that it reads and writes."""

    layer: "caffe_pb2.LayerParameter"
    blobs: Sequence[np.ndarray]
    bottoms: tuple[Value, ...]
    tops: tuple[Value, ...]
    affine: "Step | None" = None  # of a BatchNorm the Scale or Bias that it has taken in


@dataclass(frozen=True)
class Dataflow:
    inputs: tuple[Value, ...]
    steps: tuple[Step, ...]
    readers: Mapping[str, Sequence[Step]]  # by the name of a value

    @property
    def outputs(self) -> tuple[Value, ...]:
        """What layers write and none reads, as Caffe decides it."""
        return tuple(top for step in self.steps for top in step.tops if top.name not in self.readers)

    @property
    def names(self) -> set[str]:
        """Of all values."""
        return {value.name for value in (*self.inputs, *(top for step in self.steps for top in step.tops))}


def read_dataflow(
    net: "caffe_pb2.NetParameter", blobs: Mapping[str, Sequence[np.ndarray]], shapes: Mapping[str, Shape]
) -> Dataflow:
    """``net`` is in deploy form; ``blobs`` has the weights of each layer, ``shapes`` that of each blob between them.

    UserError names a layer with a top that has no name, which ONNX takes for none.
    """
    last = {top: i for i, layer in enumerate(net.layer) for top in layer.top}
    given = {top for layer in net.layer if layer.type == "Input" for top in layer.top}
    taken = set(last)
    current: dict[str, Value] = {}
    inputs: list[Value] = []
    steps: list[Step] = []
    for i, layer in enumerate(net.layer):
        bottoms = tuple(current[bottom] for bottom in layer.bottom)
        for top in layer.top:
            if not top:
                raise UserError(f"{label(layer)} has a top without a name; give it one")
            keeps = layer.type == "Input" or (last[top] == i and top not in given)
            name = top if keeps else unused(f"{top}/{layer.name}", taken)
            current[top] = Value(name, top, shapes[top])
        tops = tuple(current[top] for top in layer.top)
        if layer.type == "Input":
            inputs.extend(tops)
        else:
            steps.append(Step(layer, blobs.get(layer.name, ()), bottoms, tops))
    readers = defaultdict(list)
    for step in steps:
        for bottom in step.bottoms:
            readers[bottom.name].append(step)
    return Dataflow(tuple(inputs), tuple(steps), dict(readers))
