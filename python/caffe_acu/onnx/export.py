"""Trained networks as ONNX files: read, converted, checked in ONNX Runtime, written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.convert.to_convolution import convert_to_convolutions
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import write_atomically
from caffe_acu.onnx.check import Difference, can_check, differences
from caffe_acu.onnx.model import Export, check_opset, make_model
from caffe_acu.trained_net import TrainedNet, caffe_net, read_trained


@dataclass(frozen=True)
class Written:
    """What became of a network.

    Attributes:
        file_bytes: size of the file.
        why_fixed: why the number of images is that of the prototxt; empty if it is open.
        active: the number of active convolutions that the network had.
        differences: from Caffe; None if onnxruntime is not installed.
    """

    file_bytes: int
    why_fixed: str
    active: int
    differences: list[Difference] | None


def export_files(net: Path, weights: Path, out: Path, opset: int, deform_conv: bool = False) -> Written:
    """Reads a deploy prototxt and its caffemodel and writes an ONNX model.

    Active convolutions become convolutions (Theorem 2) or, with ``deform_conv``, DeformConv. Where onnxruntime is
    installed it must find what pycaffe finds, but for rounding. UserError names the file that is wrong;
    then none is written.
    """
    check_opset(opset, deform_conv)
    trained = read_trained(net, weights)
    with naming(net):
        described, blobs = (trained.net, trained.blobs) if deform_conv else _as_convolutions(trained)
        reference = caffe_net(trained.net, trained.blobs)
        shapes = {name: tuple(blob.shape) for name, blob in reference.blobs.items()}
        export = make_model(described, blobs, shapes, opset, f"from {net.name} and {weights.name}")
        found = _checked(export, reference) if can_check() else None
    write_atomically(out, export.content)
    active = sum(layer.type in ACTIVE_TYPES for layer in trained.net.layer)
    return Written(len(export.content), export.why_fixed, active, found)


def _as_convolutions(trained: TrainedNet) -> "tuple[caffe_pb2.NetParameter, Mapping[str, Sequence[np.ndarray]]]":
    converted = convert_to_convolutions(trained, ConvolutionOptions(wide="keep"))
    if converted.kept:
        raise UserError(
            f"synapses so far apart that a convolution would be larger than {ConvolutionOptions().max_kernel} pixels: "
            f"layer(s) {', '.join(converted.kept)}; give --deform-conv, or export what `caffe-acu convert conv` makes "
            "with --prune or --wide dilated"
        )
    return converted.net, converted.blobs


def _checked(export: Export, reference: object) -> list[Difference]:
    found = differences(export, reference)
    wrong = [one for one in found if not one.is_rounding]
    if wrong:
        worst = max(wrong, key=lambda one: one.largest / one.scale if one.scale else np.inf)
        raise UserError(
            f"blob {worst.blob!r} differs by {worst.largest:.3g} between Caffe and ONNX Runtime, where values reach "
            f"{worst.scale:.3g}: more than rounding explains ({worst.tolerance:g} of that); nothing is written"
        )
    return found
