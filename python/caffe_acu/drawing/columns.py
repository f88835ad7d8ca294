"""Tall networks side by side: where a drawing is cut into columns."""

import math
from collections import Counter

from caffe_acu.drawing.arrangement import depths_of
from caffe_acu.drawing.blocks import Blocks
from caffe_acu.drawing.boxes import Box
from caffe_acu.drawing.words import Kind

MOST_COLUMNS = 26  # cuts are named A, B, ...
# Inches from one box to the next below it, and to the next beside it, as Graphviz sets them on average.
_SMALL, _LARGE, _BESIDE = 0.36, 0.52, 1.9
_TALLEST, _WIDEST = 11.0, 10.0  # of a page that reads well


def columns_of(blocks: Blocks, columns: int | None = None) -> list[int]:
    """The column of every box, from 0; at most ``columns`` of them, or as many as make a page that reads well.

    A cut lies where all arrows across it begin at one box, and in no frame, so there may be fewer than wanted.
    """
    bottoms = _bottoms(blocks.boxes)
    height = max(bottoms)
    wanted = columns or _enough(blocks.boxes, height)
    candidates = [i for i in range(1, len(blocks.boxes)) if _may_cut(blocks, i)]
    cuts = set()
    for k in range(1, wanted):
        if candidates:
            cuts.add(min(candidates, key=lambda i: abs(max(bottoms[:i]) - k * height / wanted)))
    return [sum(cut <= i for cut in cuts) for i in range(len(blocks.boxes))]


def _bottoms(boxes: list[Box]) -> list[float]:
    """How far down the lower edge of every box is."""
    bottoms: list[float] = []
    for box in boxes:
        small = box.kind in (Kind.FUNCTION, Kind.OPERATOR, Kind.CONCAT)
        bottoms.append(max((bottoms[source] for source in box.sources), default=0.0) + (_SMALL if small else _LARGE))
    return bottoms


def _enough(boxes: list[Box], height: float) -> int:
    width = _BESIDE * max(Counter(depths_of(boxes)).values())
    return max(1, min(math.ceil(height / _TALLEST), math.floor(_WIDEST / width)))


def _may_cut(blocks: Blocks, i: int) -> bool:
    crossing = {source for box in blocks.boxes[i:] for source in box.sources if source < i}
    return len(crossing) == 1 and all(frame.boxes[-1] < i or frame.boxes[0] >= i for frame in blocks.frames)
