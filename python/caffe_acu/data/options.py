"""What a user chooses when preparing data. Light to import, so that ``--help`` is quick."""

from collections.abc import Mapping
from dataclasses import dataclass

from caffe_acu.data.cifar_formats import FORMATS
from caffe_acu.errors import UserError

PREPROCESSING: Mapping[str, str] = {
    "gcn-zca": "global contrast normalisation, then ZCA whitening: the ACU paper (CVPR 2017), section 3.1",
    "gcn": "global contrast normalisation alone: the authors' later CIFAR nets, taken for the grouped paper",
    "mean-std": "each plane minus its mean over the training set, divided by its standard deviation",
    "mean": "each plane minus its mean over the training set",
    "none": "the pixels as they are, 0 to 255",
}
DEFAULT_PREPROCESSING = "gcn-zca"
PAD_MODES: Mapping[str, str] = {
    "mirror": "reflect the image at its edge, edge pixels included (the authors' LMDB is mirror-padded)",
    "zero": "zeros, after the preprocessing",
}
CHANNEL_ORDERS: Mapping[str, str] = {
    "rgb": "planes R, G, B, as the authors' networks on CIFAR-10 have them",
    "bgr": "planes B, G, R, as OpenCV and Caffe's published models have them",
}
# The ring of the generated set has eight dots, so it can be turned into eight orientations.
MIN_CLASSES, MAX_CLASSES = 2, 8


def require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(message)


def require_choice(name: str, value: str, choices: Mapping[str, str]) -> None:
    require(value in choices, f"{name} is {value!r}: it takes one of {', '.join(choices)}")


@dataclass(frozen=True)
class WriteOptions:
    """How training images are padded and in which order they are written, for every data set."""

    pad: int = 4  # pixels on each side; the papers' random 32x32 crop then happens in Caffe
    pad_mode: str = "mirror"
    seed: int = 0  # of the order in which training images are written, and of generated images
    overwrite: bool = False

    def __post_init__(self) -> None:
        require(self.pad >= 0, f"--pad is {self.pad}: it takes 0 or more pixels")
        require(self.seed >= 0, f"--seed is {self.seed}: it takes 0 or more")
        require_choice("--pad-mode", self.pad_mode, PAD_MODES)


@dataclass(frozen=True)
class Tolerance:
    """What a reader may take although it is not whole."""

    allow_short: bool = False  # batch files with fewer records than the official ones
    skip_damaged: bool = False  # image files that cannot be decoded


@dataclass(frozen=True)
class CifarOptions:
    """Options of :func:`caffe_acu.data.prepare.prepare`."""

    data_set: str = "cifar10"  # a key of FORMATS
    labels: str = "fine"  # of CIFAR-100 also 'coarse'
    preprocess: str | None = None  # None: that of ``fitted``, or DEFAULT_PREPROCESSING
    fitted: str | None = None  # a preprocess.npz to be used instead of fitting
    channel_order: str = "rgb"
    limit_train: int | None = None  # first N images of every class
    limit_test: int | None = None
    tolerance: Tolerance = Tolerance()
    write: WriteOptions = WriteOptions()

    def __post_init__(self) -> None:
        require_choice("data_set", self.data_set, FORMATS)
        require_choice("--labels", self.labels, FORMATS[self.data_set].labellings)
        if self.preprocess is not None:
            require_choice("--preprocess", self.preprocess, PREPROCESSING)
        require_choice("--channel-order", self.channel_order, CHANNEL_ORDERS)
        for name, limit in (("--limit-train", self.limit_train), ("--limit-test", self.limit_test)):
            require(limit is None or limit > 0, f"{name} is {limit}: it takes 1 or more images per class")


@dataclass(frozen=True)
class Constellations:
    """The images of :mod:`caffe_acu.data.generated`. Lengths are in pixels.

    A dot's height is its sign times the gain of the plane, and ``noise`` is the standard deviation of the
    white noise in every plane, both before the image is scaled to about unit variance.
    """

    classes: int = 8
    radius: float = 2.5  # of the ring, centre to centre
    copies: int = 4  # constellations in an image
    noise: float = 1.0
    sigma: float = 1.0  # of a dot
    size: int = 32  # of the image, square
    plane_gain: tuple[float, ...] = (1.0, 0.8, 0.6)

    @property
    def margin(self) -> float:
        """Least distance of a constellation's centre from the image's edge: one that keeps every dot inside."""
        return self.radius + self.sigma

    def __post_init__(self) -> None:
        require(
            MIN_CLASSES <= self.classes <= MAX_CLASSES,
            f"--classes is {self.classes}: it takes {MIN_CLASSES} to {MAX_CLASSES}",
        )
        require(self.copies > 0, f"--copies is {self.copies}: it takes 1 or more")
        require(self.noise >= 0, f"--noise is {self.noise}: it takes 0 or more")
        require(self.radius > 0 and self.sigma > 0, "--radius and --sigma take more than 0 pixels")
        require(len(self.plane_gain) > 0 and any(self.plane_gain), "plane_gain needs a gain other than 0")
        require(
            self.size > 2 * self.margin + 1,
            f"--size is {self.size}: a ring of radius {self.radius:g} needs more than {2 * self.margin + 1:g} pixels",
        )


@dataclass(frozen=True)
class GeneratedOptions:
    """Options of :func:`caffe_acu.data.generated.prepare_generated`."""

    train_images: int = 20_000
    test_images: int = 2_000
    images: Constellations = Constellations()
    write: WriteOptions = WriteOptions()

    def __post_init__(self) -> None:
        for name, count in (("--train-images", self.train_images), ("--test-images", self.test_images)):
            require(count > 0, f"{name} is {count}: it takes 1 or more")
