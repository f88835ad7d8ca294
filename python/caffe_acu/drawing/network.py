"""A whole drawing, from a network's message to DOT text."""

from collections.abc import Mapping
from dataclasses import dataclass

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.network import count_network
from caffe_acu.drawing.blocks import in_frames
from caffe_acu.drawing.boxes import Size, boxes_of
from caffe_acu.drawing.dot import dot_text
from caffe_acu.drawing.steps import in_one_phase, steps_of
from caffe_acu.errors import UserError
from caffe_acu.net_param import stage_cure

PHASES: Mapping[str, int] = {"test": caffe_pb2.TEST, "train": caffe_pb2.TRAIN}


@dataclass(frozen=True)
class Drawing:
    dot: str
    without_sizes: str  # why they are not known; empty where they are


def draw_network(
    net: "caffe_pb2.NetParameter",
    *,
    phase: str = "test",
    input_shape: tuple[int, int, int] | None = None,
    full: bool = False,
    columns: int | None = None,
) -> Drawing:
    """Draws a network, ours or a stranger's, as a reader would: boxes, blocks, and how often they are repeated.

    Args:
        phase: one of PHASES.
        input_shape: (C, H, W) of what a data layer gives; needed for sizes only.
        full: every block, also those that equal the one before.
        columns: at most that many; None: as many as make a page that reads well.

    UserError names a layer that makes no sense, and a bottom that no layer makes.
    """
    cure = stage_cure(net, PHASES[phase])
    net = in_one_phase(net, PHASES[phase])
    steps = steps_of(net, cure)
    if not steps:
        raise UserError(f"no layer is in the phase {phase}; choose another with --phase")
    sizes, reason = _sizes(net, input_shape)
    return Drawing(dot_text(net.name, in_frames(boxes_of(steps, sizes), full), columns), reason)


def _sizes(net: "caffe_pb2.NetParameter", input_shape: tuple[int, int, int] | None) -> tuple[dict[str, Size], str]:
    try:
        return {row.name: tuple(row.top[1:]) for row in count_network(net, input_shape).rows}, ""
    except UserError as error:
        return {}, str(error)
