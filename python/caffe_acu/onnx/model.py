"""A trained network as an ONNX model: its graph, what it says of itself, and whether it is well-formed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, ValueInfoProto, helper

from caffe_acu import __version__
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.onnx.batch import why_fixed
from caffe_acu.onnx.dataflow import Dataflow, Shape, Value, read_dataflow
from caffe_acu.onnx.handlers import with_affine, write
from caffe_acu.onnx.opsets import FIRST_OPSET, FIRST_OPSET_DEFORM_CONV
from caffe_acu.onnx.writer import Graph, Writer

_BATCH = "N"
_LARGEST = 2**31 - 2**20  # bytes of constants; a protobuf message has less than 2^31, with all that is around them


@dataclass(frozen=True)
class Export:
    """The content of a file, what it was made of, and why its batch is not open (empty: it is)."""

    content: bytes
    flow: Dataflow
    why_fixed: str


def check_opset(opset: int, deform_conv: bool) -> None:
    """UserError unless the installed onnx knows the opset, and the opset what is needed of it."""
    first = FIRST_OPSET_DEFORM_CONV if deform_conv else FIRST_OPSET
    newest = onnx.defs.onnx_opset_version()
    if not first <= opset <= newest:
        what = "with --deform-conv " if deform_conv else ""
        raise UserError(f"--opset is {opset}: {what}it takes {first} to {newest}, which is onnx {onnx.__version__}'s")


def make_model(
    net: "caffe_pb2.NetParameter",
    blobs: Mapping[str, Sequence[np.ndarray]],
    shapes: Mapping[str, Shape],
    opset: int,
    source: str,
) -> Export:
    """Writes a network in deploy form, with its weights and the shapes of its blobs, in single precision.

    Active convolutions become DeformConv. The first axis is open, as N, where no layer stands against it; the others
    are those of the prototxt, since sizes are rounded by rules that ONNX does not have. ``source`` is kept in the
    model. UserError names the layer that ONNX cannot express, and a model too large for one file.
    """
    flow = read_dataflow(net, blobs, shapes)
    if not flow.inputs or not flow.outputs:
        raise UserError(f"has no {'outputs' if flow.inputs else 'inputs'}: nothing is computed")
    fixed = why_fixed(flow)
    graph = Graph(flow.inputs[0].name, flow.names, open_batch=not fixed)
    for step in with_affine(flow):
        write(step, Writer(graph, step))
    if graph.constant_bytes > _LARGEST:
        raise UserError(
            f"weights of {graph.constant_bytes / 2**30:.1f} GiB are more than an ONNX file holds (2 GiB); active "
            "convolutions with far synapses are smaller with --deform-conv"
        )
    made = {name for node in graph.nodes for name in node.output}
    tops = [top for step in flow.steps for top in step.tops if top.name in made]
    inner = [top for top in tops if top.name in flow.readers]
    body = helper.make_graph(
        graph.nodes,
        net.name or "network",
        [_described(value, fixed) for value in flow.inputs],
        [_described(value, fixed) for value in flow.outputs],
        graph.constants,
        value_info=[_described(value, fixed) for value in inner],
    )
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        body,
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),
        producer_name="caffe-acu",
        producer_version=__version__,
        doc_string=source,
    )
    content = model.SerializeToString()
    # Full: the shapes that ONNX infers must be those of Caffe, which are written into the model.
    onnx.checker.check_model(content, full_check=True)
    return Export(content, flow, fixed)


def _described(value: Value, fixed: str) -> ValueInfoProto:
    """Type and shape."""
    shape = value.shape if fixed else (_BATCH, *value.shape[1:])
    return helper.make_tensor_value_info(value.name, TensorProto.FLOAT, shape)
