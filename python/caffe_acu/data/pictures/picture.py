"""One picture: from the bytes of a file to pixels of the wanted size, and to a JPEG.

JPEGs are decoded and encoded by simplejpeg, a thin wrapper of libjpeg-turbo, for its speed and because it
reports a truncated or corrupt file, where OpenCV 4 returns a picture with a grey rest. OpenCV resizes, several
times as fast as Pillow. What is no ordinary JPEG goes through Pillow.
"""

import io
from typing import NamedTuple

import cv2
import numpy as np
import simplejpeg
from PIL import Image, UnidentifiedImageError

from caffe_acu.data.image_tree import DECODING_ERRORS
from caffe_acu.data.pictures.options import RecordOptions

# Pillow would try all the formats it knows, some of them rarely used and less tested.
_OTHER_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP")
JPEG_START = b"\xff\xd8\xff"
_EXIF_START = b"Exif\0\0"
_SCAN = b"\xda"  # the marker of the picture itself
_ORIENTATION_TAG = 0x0112
# EXIF's orientations 2 to 8 as (transposed first, flipped up-down, flipped left-right).
_ORIENTATIONS = {
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}


class DamagedPicture(Exception):
    """The text says what is wrong with the file, without naming it."""


class Picture(NamedTuple):
    pixels: np.ndarray  # uint8 (H, W, 3), channels B, G, R
    remarks: tuple[str, ...]  # what was unusual about the file, in a few words each
    ordinary: bool  # a whole JPEG of three channels, in full size and as it is stored


def decode(contents: bytes, options: RecordOptions, keep_damaged: bool = False) -> Picture:
    """The picture in a file, reduced while decoding to no less than ``options.size`` pixels a side.

    libjpeg-turbo averages pixels when it reduces a picture to M/8 of its size, which costs less than
    decoding all of it and leaves less for :func:`fit` to alias. Grey, CMYK and PNG become BGR; transparency is
    dropped. Raises DamagedPicture; with ``keep_damaged`` a JPEG's readable part is taken instead, with a remark.
    """
    if not contents:
        raise DamagedPicture("an empty file")
    if not contents.startswith(JPEG_START):
        return _decode_other(contents, options, "no JPEG inside")
    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(contents)
    except ValueError as error:
        raise DamagedPicture(f"its JPEG header cannot be read ({error})") from error
    if colours not in ("YCbCr", "RGB", "Gray"):
        return _decode_other(contents, options, "CMYK")

    remarks = ["grey"] if colours == "Gray" else []
    try:
        pixels = _decode_jpeg(contents, options.size, strict=True)
    except ValueError as error:
        if not keep_damaged:
            raise DamagedPicture(str(error)) from error
        try:
            pixels = _decode_jpeg(contents, options.size, strict=False)
        except ValueError:
            raise DamagedPicture(str(error)) from error
        remarks.append("damaged, kept")
    upright = _upright(pixels, contents, options)
    if upright is not pixels:
        remarks.append("turned")
    ordinary = colours == "YCbCr" and not remarks and pixels.shape[:2] == (height, width)
    return Picture(upright, tuple(remarks), ordinary)


def fit(pixels: np.ndarray, options: RecordOptions) -> np.ndarray:
    """``pixels`` (H, W, 3) made ``options.size`` pixels high and wide, by bilinear interpolation.

    With fit "crop" the largest square in the centre is cut out first: to half a pixel of ``pixels`` the same
    picture as resizing the shorter side and then cutting, in bounded memory where one side is far longer.
    """
    height, width = pixels.shape[:2]
    if options.fit == "crop":
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        pixels = pixels[top : top + side, left : left + side]
    if pixels.shape[:2] != (options.size, options.size):
        pixels = cv2.resize(pixels, (options.size, options.size), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(pixels)


def encode(pixels: np.ndarray, options: RecordOptions) -> bytes:
    """A JPEG of ``pixels`` uint8 (H, W, 3) B, G, R, its colours at half the resolution, as OpenCV writes them."""
    return simplejpeg.encode_jpeg(pixels, options.quality, "BGR", "420")


def _decode_jpeg(contents: bytes, size: int, strict: bool) -> np.ndarray:
    return simplejpeg.decode_jpeg(contents, "BGR", min_height=size, min_width=size, strict=strict)


def _decode_other(contents: bytes, options: RecordOptions, remark: str) -> Picture:
    try:
        with Image.open(io.BytesIO(contents), formats=_OTHER_FORMATS) as image:
            rgb = _eight_bits(image).convert("RGB")
    except UnidentifiedImageError as error:
        raise DamagedPicture("no picture of a known format") from error
    except DECODING_ERRORS as error:
        raise DamagedPicture(str(error) or type(error).__name__) from error
    pixels = np.ascontiguousarray(np.asarray(rgb)[:, :, ::-1])
    return Picture(_upright(pixels, contents, options), (remark,), False)


def _eight_bits(image: Image.Image) -> Image.Image:
    """Pillow cuts 16 bits off at 255 instead of scaling them."""
    if not image.mode.startswith("I"):
        return image
    return Image.fromarray((np.asarray(image).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8))


def has_exif(jpeg: bytes) -> bool:
    """Whether one of the segments before the picture is EXIF's; a search of the bytes would take far longer."""
    at = 2
    while jpeg[at : at + 1] == b"\xff" and jpeg[at + 1 : at + 2] != _SCAN:
        if jpeg[at + 4 : at + 10] == _EXIF_START:
            return True
        # Any number of fill bytes may stand before a marker.
        at += 1 if jpeg[at + 1 : at + 2] == b"\xff" else 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return False


def _upright(pixels: np.ndarray, contents: bytes, options: RecordOptions) -> np.ndarray:
    if options.orientation == "ignore" or (contents.startswith(JPEG_START) and not has_exif(contents)):
        return pixels
    try:
        with Image.open(io.BytesIO(contents), formats=_OTHER_FORMATS) as image:
            orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except DECODING_ERRORS:
        return pixels  # the pixels are whole; what says how they were taken is not
    transposed, up_down, left_right = _ORIENTATIONS.get(orientation, (False, False, False))
    if not (transposed or up_down or left_right):
        return pixels
    if transposed:
        pixels = pixels.transpose(1, 0, 2)
    if up_down:
        pixels = pixels[::-1]
    if left_right:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
