"""Steps as boxes: a convolution with what follows it is one, and so is a run of functions on their own."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from caffe_acu.drawing.steps import Step
from caffe_acu.drawing.words import FOLLOWERS, Kind, Words, describe, followers

Size = tuple[int, ...]
_HOSTS = (Kind.CONVOLUTION, Kind.ACU, Kind.FUNCTION)


@dataclass(frozen=True)
class Box:
    """``layers``: names, the one that gives the box its own first; ``sources``: indices of boxes, as bottoms go."""

    layers: tuple[str, ...]
    words: Words
    followers: str  # such as "BN ReLU"
    size: Size  # of the output without the batch, (C, H, W) as a rule; empty where unknown
    sources: tuple[int, ...]

    @property
    def kind(self) -> Kind:
        return self.words.kind


def boxes_of(steps: list[Step], sizes: Mapping[str, Size]) -> list[Box]:
    """The boxes in the network's order; ``sizes``: of layers' first tops, for those where they are known."""
    readers = Counter(source for step in steps for source in step.sources)
    runs: list[list[int]] = []  # steps of each box
    box_of: list[int] = []  # of each step
    words: list[Words] = []
    for i, step in enumerate(steps):
        says = describe(step.layer)
        if says.kind == Kind.FUNCTION and step.layer.type in FOLLOWERS:
            (source,) = step.sources
            box = box_of[source]
            if words[box].kind in _HOSTS and readers[source] == 1:
                runs[box].append(i)
                box_of.append(box)
                continue
        elif says.kind == Kind.OTHER and i not in readers:
            says = Words(Kind.OUTPUT, says.title)
        box_of.append(len(runs))
        runs.append([i])
        words.append(says)
    return [
        _box([steps[i] for i in run], says, sizes, tuple(box_of[source] for source in steps[run[0]].sources))
        for run, says in zip(runs, words, strict=True)
    ]


def _box(run: list[Step], words: Words, sizes: Mapping[str, Size], sources: tuple[int, ...]) -> Box:
    types = [step.layer.type for step in run]
    if words.kind == Kind.FUNCTION:
        words, types = Words(Kind.FUNCTION, followers(types)), []
    names = tuple(step.layer.name for step in run)
    return Box(names, words, followers(types[1:]), sizes.get(names[-1], ()), sources)
