"""What a user chooses when preparing photographs. Light to import, so that ``--help`` is quick."""

from collections.abc import Mapping
from dataclasses import dataclass

from caffe_acu.data.options import CHANNEL_ORDERS, require, require_choice

FITS: Mapping[str, str] = {
    "crop": "resize so that the shorter side fits, and cut out the centre (Krizhevsky et al. 2012)",
    "warp": "resize both sides, whatever becomes of the proportions (Caffe's create_imagenet.sh)",
}
ENCODINGS: Mapping[str, str] = {
    "jpeg": "a JPEG file in each record, which Caffe decodes while it trains",
    "raw": "pixels, which take about eight times the room",
}
DAMAGED: Mapping[str, str] = {
    "refuse": "list such files and write no data set until they are mended",
    "skip": "leave them out and list them",
    "keep": "use what can be decoded of them, leave out the rest, and list both",
}
ORIENTATIONS: Mapping[str, str] = {
    "ignore": "take the pixels as they are stored, as most results on ImageNet did",
    "apply": "turn a picture as its EXIF orientation says",
}


@dataclass(frozen=True)
class RecordOptions:
    """How a file becomes a record."""

    size: int = 256  # pixels, of both sides
    fit: str = "crop"
    encoding: str = "jpeg"
    quality: int = 95  # of the JPEG, 1 to 100
    channel_order: str = "bgr"  # of raw records; in a JPEG the order is JPEG's, and Caffe decodes it to BGR
    orientation: str = "ignore"

    def __post_init__(self) -> None:
        require(self.size > 0, f"--size is {self.size}: it takes 1 or more pixels")
        require(1 <= self.quality <= 100, f"--quality is {self.quality}: it takes 1 to 100")
        require_choice("--fit", self.fit, FITS)
        require_choice("--encoding", self.encoding, ENCODINGS)
        require_choice("--channel-order", self.channel_order, CHANNEL_ORDERS)
        require_choice("--orientation", self.orientation, ORIENTATIONS)
        require(
            self.encoding == "raw" or self.channel_order == "bgr",
            "--channel-order rgb needs --encoding raw: Caffe decodes a JPEG to BGR, whatever was meant",
        )


@dataclass(frozen=True)
class PictureOptions:
    """Options of :func:`caffe_acu.data.pictures.prepare.prepare_pictures` that shape the data set."""

    records: RecordOptions = RecordOptions()
    seed: int = 0  # of the order in which training images are written
    limit_train: int | None = None  # first N files of every class
    limit_test: int | None = None
    allow_short: bool = False  # fewer images or classes than the official set has

    def __post_init__(self) -> None:
        require(self.seed >= 0, f"--seed is {self.seed}: it takes 0 or more")
        for name, limit in (("--limit-train", self.limit_train), ("--limit-val", self.limit_test)):
            require(limit is None or limit > 0, f"{name} is {limit}: it takes 1 or more images per class")


@dataclass(frozen=True)
class RunOptions:
    """How the work is done; none of it changes what a whole data set holds, but for ``damaged``."""

    damaged: str = "refuse"
    workers: int | None = None  # processes; None: as many as there are cores for this one
    overwrite: bool = False
    restart: bool = False  # throw away what an interrupted run left

    def __post_init__(self) -> None:
        require_choice("--damaged", self.damaged, DAMAGED)
        require(self.workers is None or self.workers > 0, f"--workers is {self.workers}: it takes 1 or more")
