"""What a user chooses. Light to import, so that ``--help`` is quick."""

from dataclasses import dataclass
from pathlib import Path

from caffe_acu.errors import UserError

CROPS = (1, 10)


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of :func:`caffe_acu.evaluation.run.evaluate`. None: what the prototxt says, or as told."""

    data: Path | None = None  # an LMDB, or a data set of caffe-acu
    split: str | None = None  # of the data set; None: the one that is not for training
    crops: int = 1
    top: tuple[int, ...] | None = None  # None: 1, and 5 where there are 100 classes or more
    batch: int | None = None  # views in a pass through the network
    gpu: int | None = None  # None: the CPU
    limit: int | None = None  # records, the first ones
    mean: str | None = None  # numbers with commas between them, one or one for a channel; or a binaryproto
    scale: float | None = None
    scores: str | None = None  # name of the blob

    def __post_init__(self) -> None:
        if self.crops not in CROPS:
            raise UserError(f"--crops is {self.crops}: it takes {' or '.join(map(str, CROPS))}")
        for name, value in (("--batch", self.batch), ("--limit", self.limit), *(("--top", k) for k in self.top or ())):
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}: it takes 1 or more")
        if self.batch is not None and self.batch < self.crops:
            raise UserError(f"--batch is {self.batch}: it takes {self.crops} or more, all crops of an image")
        if self.top == ():
            raise UserError("--top: it takes one number or more")

    @property
    def mean_values(self) -> tuple[float, ...] | None:
        """The numbers of ``mean``; None if it is a file."""
        try:
            return tuple(float(part) for part in (self.mean or "").split(","))
        except ValueError:
            return None
