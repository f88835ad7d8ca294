"""Small networks as prototxts, for the tests of drawings."""

from google.protobuf import text_format

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.drawing.boxes import Box, boxes_of
from caffe_acu.drawing.steps import in_one_phase, steps_of

CONV3 = "convolution_param { num_output: 4 kernel_size: 3 pad: 1 }"
CONV1 = "convolution_param { num_output: 4 kernel_size: 1 }"


def layer(type_: str, bottoms: str, tops: str, param: str = "", name: str = "") -> str:
    """A layer; ``bottoms`` and ``tops`` are separated by blanks, the name is that of the first top."""
    blobs = [f"bottom: '{blob}'" for blob in bottoms.split()] + [f"top: '{blob}'" for blob in tops.split()]
    return f"layer {{ name: '{name or tops.split()[0]}' type: '{type_}' {' '.join(blobs)} {param} }}\n"


def data(*dims: int) -> str:
    return layer("Input", "", "data", f"input_param {{ shape {{ {' '.join(f'dim: {dim}' for dim in dims)} }} }}")


def bn_relu(blob: str, name: str = "") -> str:
    """In place."""
    name = name or blob
    scale = layer("Scale", blob, blob, "scale_param { bias_term: true }", f"scale_{name}")
    return layer("BatchNorm", blob, blob, name=f"bn_{name}") + scale + layer("ReLU", blob, blob, name=f"relu_{name}")


def block(name: str, bottom: str, param: str = CONV3, type_: str = "Convolution") -> str:
    """A residual block: BN ReLU, a convolution, the sum with what came in."""
    pre = layer("BatchNorm", bottom, f"{name}_pre", name=f"bn_{name}_conv") + layer(
        "ReLU", f"{name}_pre", f"{name}_pre", name=f"relu_{name}_conv"
    )
    conv = layer(type_, f"{name}_pre", f"{name}_conv", param)
    return pre + conv + layer("Eltwise", f"{name}_conv {bottom}", f"{name}_sum")


def parse(prototxt: str) -> "caffe_pb2.NetParameter":
    return text_format.Parse(prototxt, caffe_pb2.NetParameter())


def boxes(prototxt: str, phase: int = caffe_pb2.TEST, **sizes: tuple[int, ...]) -> list[Box]:
    return boxes_of(steps_of(in_one_phase(parse(prototxt), phase)), sizes)


def seen(found: list[Box]) -> list[tuple[str, str, tuple[int, ...]]]:
    """Titles, what follows, and sources."""
    return [(box.words.title, box.followers, box.sources) for box in found]
