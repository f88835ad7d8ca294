"""From a Datum to what the network reads, as Caffe's Data layer does it in the test phase, and ten crops.

An image is (C, H, W), planes in the order B, G, R where it was decoded.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.datum import AS_STORED, decode
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array

Size = tuple[int, int]  # height, width


def read_mean_file(path: str | Path) -> np.ndarray:
    """The mean image of a binaryproto, float32 (C, H, W); UserError if it is none."""
    blob = caffe_pb2.BlobProto()
    try:
        blob.ParseFromString(Path(path).read_bytes())
        mean = blob_array(blob)
    except OSError as error:
        raise UserError(f"{path}: the mean cannot be read: {error.strerror}") from error
    except (DecodeError, UserError) as error:
        raise UserError(f"{path}: no binaryproto of a mean image, or a damaged one") from error
    if mean.ndim < 3 or mean.size != np.prod(mean.shape[-3:]) or not mean.size:
        raise UserError(f"{path}: its shape is {mean.shape}; the mean of images was expected, 1 x C x H x W")
    return mean.reshape(mean.shape[-3:]).astype(np.float32)


def places(image: Size, crop: Size, crops: int) -> list[tuple[int, int]]:
    """Rows and columns at which the crops of an image begin: the centre, or the four corners and the centre.

    The centre is rounded to the upper left, as Caffe does. ValueError if the crop does not fit, or if five crops
    would be one and the same.
    """
    down, right = image[0] - crop[0], image[1] - crop[1]
    if down < 0 or right < 0:
        raise ValueError(f"it is {_by(image)} (height x width), smaller than the crop of {_by(crop)}")
    centre = (down // 2, right // 2)
    if crops == 1:
        return [centre]
    if down == right == 0:
        raise ValueError(f"it is exactly as large as the crop, {_by(image)}, so all ten are the same: use --crops 1")
    return [(0, 0), (0, right), (down, 0), (down, right), centre]


def cut(image: np.ndarray, crop: Size, views: np.ndarray) -> None:
    """Fills ``views`` (1 or 10, C, *crop) from an image (C, H, W): of ten, five and then their mirror images."""
    corners = places(image.shape[1:], crop, len(views))
    for i, (row, column) in enumerate(corners):
        views[i] = image[:, row : row + crop[0], column : column + crop[1]]
        if len(views) > 1:
            views[len(corners) + i] = views[i, ..., ::-1]  # left to right


def _by(size: Sequence[int]) -> str:
    return "x".join(map(str, size))


@dataclass(frozen=True)
class Viewing:
    """How a Datum becomes views; all that Caffe's transform_param says, and the number of crops.

    ``crop`` None is the whole image, which then must be of ``size``, that of the first; ``mean`` is float32 and goes
    with the image: (C, H, W), or (1 or C, 1, 1).
    """

    channels: int
    size: Size
    crop: Size | None = None
    crops: int = 1
    mean: np.ndarray | None = None
    scale: float = 1.0
    colour: int = AS_STORED

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a view, (C, H, W)."""
        return (self.channels, *(self.crop or self.size))

    def fill(self, views: np.ndarray, datum: "caffe_pb2.Datum") -> None:
        """Sets ``views`` float32 (crops, *shape) to (x - mean) * scale, as Caffe does. ValueError: what is wrong."""
        image = decode(datum, self.colour)
        if len(image) != self.channels:
            raise ValueError(f"it has {len(image)} channels, the network takes {self.channels}")
        if self.crop is None and image.shape[1:] != self.size:
            raise ValueError(f"it is {_by(image.shape[1:])}, the first record {_by(self.size)}; set a crop_size")
        values = image.astype(np.float32)
        if self.mean is not None:
            if self.mean.shape not in (image.shape, (1, 1, 1), (len(image), 1, 1)):
                raise ValueError(f"it is {_by(image.shape)}, the mean {_by(self.mean.shape)}")
            values -= self.mean
        values *= np.float32(self.scale)
        # The mean is subtracted before cutting: a mean image belongs to the place, and ten views share the work.
        cut(values, self.crop or self.size, views)
