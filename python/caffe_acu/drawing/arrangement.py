"""What belongs below, beside and straight above what, as a reader expects it."""

from caffe_acu.drawing.boxes import Box
from caffe_acu.drawing.words import Kind


def depths_of(boxes: list[Box]) -> list[int]:
    """How many boxes at most are on the way to each."""
    depths: list[int] = []
    for box in boxes:
        depths.append(max((depths[source] + 1 for source in box.sources), default=0))
    return depths


def trunk(boxes: list[Box]) -> set[tuple[int, int]]:
    """The arrows (source, box) of the longest way through the network, or of the first of those."""
    depths = depths_of(boxes)
    heights = [0] * len(boxes)  # above the last box
    readers: list[list[int]] = [[] for _ in boxes]
    for i in reversed(range(len(boxes))):
        for source in boxes[i].sources:
            heights[source] = max(heights[source], heights[i] + 1)
            readers[source].append(i)
    ways = ((max(box.sources, key=lambda j: (depths[j], -j)), i) for i, box in enumerate(boxes) if box.sources)
    return {(source, i) for source, i in ways if i == max(readers[source], key=lambda j: (heights[j], -j))}


def places(boxes: list[Box]) -> list[int]:
    """For every box its branch's place from the left, where the branch meets others.

    Branches stand in the order in which they are concatenated; where they are added, the longest is first.
    """
    found = [0] * len(boxes)
    depths = depths_of(boxes)
    for i in reversed(range(len(boxes))):
        sources = list(dict.fromkeys(boxes[i].sources))
        if len(sources) == 1:
            found[sources[0]] = found[i]
            continue
        if boxes[i].kind != Kind.CONCAT:
            sources.sort(key=lambda source: -depths[source])
        for place, source in enumerate(sources):
            found[source] = place
    return found
