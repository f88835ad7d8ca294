"""The graph under construction, and the hand of a layer's handler in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from caffe_acu.onnx.dataflow import Shape, Step, Value, unused


class Graph:
    """Nodes and constants in the order in which they are written.

    ``open_batch``: the first axis of every value of Caffe's is as long as that of the inputs; else as in the prototxt.
    """

    def __init__(self, first_input: str, taken: set[str], open_batch: bool) -> None:
        self.open_batch = open_batch
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.constant_bytes = 0
        self._first_input = first_input
        self._batch_size = ""
        self._values = taken  # names of values and constants, which share one space
        self._node_names: set[str] = set()

    def constant(self, name: str, array: np.ndarray) -> str:
        """Keeps the array, floats in single precision; returns its name, which begins with ``name``."""
        array = np.ascontiguousarray(array, dtype=np.float32 if array.dtype.kind == "f" else np.int64)
        self.constant_bytes += array.nbytes
        self.constants.append(numpy_helper.from_array(array, unused(name, self._values)))
        return self.constants[-1].name

    def node(self, name: str, op: str, bottoms: Sequence[str], tops: Sequence[str], **attributes: Any) -> None:
        name = unused(name, self._node_names)
        self.nodes.append(helper.make_node(op, bottoms, tops, name, **attributes))

    def value(self, name: str) -> str:
        """A name for a value that Caffe does not have."""
        return unused(name, self._values)

    def batch_size(self) -> str:
        """The name of a vector with one element, the number of images of an open batch."""
        if not self._batch_size:
            self._batch_size = self.value("batch_size")
            self.node("batch_size", "Shape", [self._first_input], [self._batch_size], start=0, end=1)
        return self._batch_size


class Writer:
    """Writes the nodes of one layer; what it makes is called after the layer."""

    def __init__(self, graph: Graph, step: Step) -> None:
        self.graph = graph
        self._name = step.layer.name

    def constant(self, role: str, array: np.ndarray) -> str:
        return self.graph.constant(f"{self._name}/{role}", array)

    def number(self, role: str, value: float) -> str:
        """A scalar."""
        return self.constant(role, np.array(value, dtype=np.float64))

    def node(self, op: str, *bottoms: str | Value, to: Value | None = None, **attributes: Any) -> str:
        """Adds a node with one top, ``to`` or a value of its own; returns the top's name."""
        top = self.graph.value(f"{self._name}/{op}") if to is None else to.name
        self.nodes(op, bottoms, [top], **attributes)
        return top

    def nodes(self, op: str, bottoms: Sequence[str | Value], tops: Sequence[str | Value], **attributes: Any) -> None:
        """Adds a node of any number of tops."""
        names = [[one.name if isinstance(one, Value) else one for one in ends] for ends in (bottoms, tops)]
        self.graph.node(self._name, op, *names, **attributes)

    def reshape(self, bottom: str | Value, shape: Shape, to: Value | None = None) -> str:
        """Reshapes what has the batch as its first axis; an open batch is copied from ``bottom``."""
        wanted = np.array((0, *shape[1:]) if self.graph.open_batch else shape, dtype=np.int64)
        return self.node("Reshape", bottom, self.constant("shape", wanted), to=to)
