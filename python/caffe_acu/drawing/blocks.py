"""Blocks, known by the names of their layers, and runs of equal ones drawn once."""

import re
from dataclasses import dataclass, replace

from caffe_acu.drawing.boxes import Box

# bn_stage2_block3_conv2 is of block stage2_block3, inception_3a_1x1 (or /1x1) of inception_3a.
_BLOCK = re.compile(r"(?:(?:bn|scale|relu|dropout)_)?((?:[^/]*?_)?block\d+|inception_\d+[a-z]?)(?=[_/]|$)")


@dataclass(frozen=True)
class Frame:
    """``boxes``: indices of those drawn in it; ``times``: how often the block is there, one after the other."""

    title: str
    boxes: tuple[int, ...]
    times: int = 1


@dataclass(frozen=True)
class Blocks:
    boxes: list[Box]
    frames: list[Frame]

    def times(self) -> list[int]:
        """How many boxes of the network each box stands for."""
        times = [1] * len(self.boxes)
        for frame in self.frames:
            for box in frame.boxes:
                times[box] = frame.times
        return times


def block_name(layer: str) -> str | None:
    """The block that a layer belongs to, by its name."""
    match = _BLOCK.match(layer)
    return match and match.group(1)


def in_frames(boxes: list[Box], full: bool = False) -> Blocks:
    """The boxes in frames; consecutive equal blocks are one, unless all are asked for (``full``)."""
    members: dict[str, list[int]] = {}
    for i, box in enumerate(boxes):
        name = block_name(box.layers[0])
        if name:
            members.setdefault(name, []).append(i)
    names = list(members)
    runs = [[name] for name in names] if full else _runs(boxes, members)
    stands_for = list(range(len(boxes)))
    for run in runs:
        for name in run[1:]:
            for kept, repeated in zip(members[run[0]], members[name], strict=True):
                stands_for[repeated] = kept
    kept = [i for i in range(len(boxes)) if stands_for[i] == i]
    place = {old: new for new, old in enumerate(kept)}
    drawn = [replace(boxes[i], sources=tuple(place[stands_for[s]] for s in boxes[i].sources)) for i in kept]
    frames = [Frame(_title(run), tuple(place[i] for i in members[run[0]]), len(run)) for run in runs]
    return Blocks(drawn, frames)


def _runs(boxes: list[Box], members: dict[str, list[int]]) -> list[list[str]]:
    readers: list[list[int]] = [[] for _ in boxes]
    for i, box in enumerate(boxes):
        for source in box.sources:
            readers[source].append(i)
    shapes = {name: _Shape.of(boxes, readers, inside) for name, inside in members.items()}
    runs: list[list[str]] = []
    links: tuple[int, ...] | None = None  # by which places in the block before the blocks of a run are fed
    for name in members:
        before = runs[-1][-1] if runs else None
        if before and shapes[name].equals(shapes[before]):
            link = _link(shapes[name], members[before], shapes[before], members[name])
            if link is not None and links in (None, link):
                runs[-1].append(name)
                links = link
                continue
        runs.append([name])
        links = None
    return runs


@dataclass(frozen=True)
class _Shape:
    """What a block looks like: boxes with their sources, which are places in it or numbers of what feeds it."""

    looks: tuple[tuple, ...]
    exits: tuple[int, ...]  # places that others read, or nobody
    feeds: tuple[int, ...]  # indices of boxes outside, in the order in which they are first read
    readers: frozenset[int]  # indices of boxes outside

    @classmethod
    def of(cls, boxes: list[Box], readers: list[list[int]], inside: list[int]) -> "_Shape":
        place = {box: i for i, box in enumerate(inside)}
        feeds: dict[int, int] = {}
        looks = []
        for i in inside:
            sources = tuple(
                ("inside", place[source]) if source in place else ("outside", feeds.setdefault(source, len(feeds)))
                for source in boxes[i].sources
            )
            looks.append((boxes[i].words, boxes[i].followers, boxes[i].size, sources))
        outside = {i: [reader for reader in readers[i] if reader not in place] for i in inside}
        return cls(
            looks=tuple(looks),
            exits=tuple(place[i] for i in inside if outside[i] or not readers[i]),
            feeds=tuple(feeds),
            readers=frozenset(reader for found in outside.values() for reader in found),
        )

    def equals(self, other: "_Shape") -> bool:
        return (self.looks, self.exits) == (other.looks, other.exits)


def _link(shape: _Shape, before: list[int], shape_before: _Shape, inside: list[int]) -> tuple[int, ...] | None:
    """Places in the block before that feed this one; None unless that block feeds it, it alone, and nothing else."""
    if not shape.feeds or not set(shape.feeds) <= set(before) or not shape_before.readers <= set(inside):
        return None
    return tuple(before.index(feed) for feed in shape.feeds)


def _title(run: list[str]) -> str:
    first, last = _spoken(run[0]), _spoken(run[-1])
    if len(run) == 1:
        return first
    stem, _, number = last.rpartition(" ")
    return f"{first} to {number}" if first.rpartition(" ")[0] == stem else f"{first} to {last}"


def _spoken(name: str) -> str:
    """stage2_block3 as "stage 2, block 3"."""
    words = [re.sub(r"(?<=[a-z])(?=\d)", " ", word) for word in name.split("_")]
    return " ".join(words) if words[0] == "inception" else ", ".join(words)
