"""What a user chooses when making a network active. Light to import, so that ``--help`` is quick."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from caffe_acu.errors import UserError

WHICH: Mapping[str, str] = {
    "all": "every convolution with a kernel larger than 1x1",
    "depthwise": "those with as many groups as input channels (where the file does not tell these: as outputs)",
    "last-of-block": "the last one on every path through a block; a block ends where a sum, a maximum (Eltwise) or a "
    "Concat joins paths, and begins at the last layer that they all come from; what has no shortcut is no block",
}


@dataclass(frozen=True)
class Choice:
    """Which convolutions become active. Patterns are a shell's, with *, ? and [], and meet whole layer names."""

    which: str = "all"  # a key of WHICH
    layers: tuple[str, ...] = ()  # patterns of which one must match; none: every layer
    excluded: tuple[str, ...] = ()  # patterns of which none may

    def __post_init__(self) -> None:
        if self.which not in WHICH:
            raise UserError(f"--which is {self.which!r}: it takes one of {', '.join(WHICH)}")


@dataclass(frozen=True)
class PositionOptions:
    """How the positions of a new active convolution learn."""

    lr_mult: float = 0.01  # of both papers (ACU paper, section 2.5)
    warmup_iter: int = 0
    sets: int | None = None  # position sets; None: one for each convolution group

    def __post_init__(self) -> None:
        if not (math.isfinite(self.lr_mult) and self.lr_mult >= 0):
            raise UserError(f"--position-lr-mult is {self.lr_mult}: it takes 0 or more")
        if self.warmup_iter < 0:
            raise UserError(f"--warmup is {self.warmup_iter}: it takes 0 or more iterations")
        if self.sets is not None and self.sets < 1:
            raise UserError(f"--position-sets is {self.sets}: it takes 1 or more")


WIDE: Mapping[str, str] = {
    "refuse": "nothing is written; the message tells what can be done",
    "dilated": "several convolutions with dilation, of which the sum is the layer exactly",
    "keep": "the layer stays active; the file then needs this Caffe",
}


@dataclass(frozen=True)
class ConvolutionOptions:
    """How active convolutions become plain ones."""

    fold: bool = False  # batch normalisation into the layer before it
    # Side of a kernel, in pixels, from which a layer is wide: what RepLKNet (Ding et al., CVPR 2022) found networks
    # to gain from, and 100 times the work of a 3x3.
    max_kernel: int = 31
    wide: str = "refuse"  # a key of WIDE: what becomes of wide layers
    prune: float | None = None  # taps below this share of a layer's largest are dropped; None: none

    def __post_init__(self) -> None:
        if self.wide not in WIDE:
            raise UserError(f"--wide is {self.wide!r}: it takes one of {', '.join(WIDE)}")
        if self.max_kernel < 1:
            raise UserError(f"--max-kernel is {self.max_kernel}: it takes 1 or more pixels")
        if self.prune is not None and not 0 <= self.prune < 1:
            raise UserError(
                f"--prune is {self.prune:g}: it takes at least 0 and less than 1, a share of the largest tap"
            )
