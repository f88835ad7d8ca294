"""Reads image files sorted into folders: ``train/<class>/<image>`` and ``test/<class>/<image>``."""

import io
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from caffe_acu.data.archive import Archive
from caffe_acu.data.images import ImageSet, Sources
from caffe_acu.data.options import Tolerance
from caffe_acu.data.progress import progress
from caffe_acu.errors import UserError

DESCRIPTION = "images in a folder per class"  # of a source, in its manifest
_SPLITS = ("train", "test")
_SUFFIXES = (".jpg", ".jpeg", ".png")
_FORMATS = ("JPEG", "PNG")  # Pillow would try all the formats it knows, some of them rarely used and less tested
_GREY = ("L", "1")
# What Pillow raises on files that are cut or damaged, as its plugins pass on what they stumble over.
DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


@dataclass(frozen=True)
class ImageTree:
    """The image files below one folder of an archive: split -> sorted (class, path)."""

    folder: str
    files: dict[str, list[tuple[str, str]]]
    ignored: tuple[str, ...]

    @property
    def description(self) -> str:
        return f"{DESCRIPTION} in {self.folder}"

    def read(self, archive: Archive, tolerance: Tolerance) -> Sources:
        """Every image, sorted by class and name; labels count the classes in the order of their names.

        Raises UserError, which names the file, for one that cannot be decoded (unless
        ``tolerance.skip_damaged``), is neither RGB nor grey, or has another size than the first.
        """
        classes = self._classes(archive)
        # Both splits in one pass, since an archive is read from end to end each time.
        entries = [entry for split in _SPLITS for entry in self.files[split]]
        images, whole = _decode([path for _, path in entries], archive, tolerance)
        labels = np.array([classes.index(name) for name, _ in entries], np.int64)

        source = f"{archive.path} ({self.description})"
        border = len(self.files["train"])
        train, test = (
            ImageSet(images[part][whole[part]], labels[part][whole[part]], classes, source)
            for part in (slice(None, border), slice(border, None))
        )
        skipped = tuple(path for (_, path), good in zip(entries, whole, strict=True) if not good)
        return Sources(train, test, self.description, {}, skipped, self.ignored)

    def _classes(self, archive: Archive) -> tuple[str, ...]:
        names = {split: {name for name, _ in self.files[split]} for split in _SPLITS}
        for name in sorted(names["train"] ^ names["test"]):
            has, lacks = _SPLITS if name in names["train"] else reversed(_SPLITS)
            raise UserError(
                f"{archive.path}: class '{name}' has images in {PurePosixPath(self.folder, has)} but none in "
                f"{lacks}: both need every class"
            )
        return tuple(sorted(names["train"]))


def find(names: Iterable[str]) -> list[ImageTree]:
    """Every folder among ``names`` that holds train/<class>/<image> or test/<class>/<image>."""
    files: dict[str, dict[str, list[tuple[str, str]]]] = {}
    ignored: list[str] = []
    # An archive may hold a name twice; the later file counts, as it does when unpacking.
    for name in sorted(set(names)):
        path = PurePosixPath(name)
        if path.suffix.lower() not in _SUFFIXES or len(path.parts) < 3 or path.parts[-3] not in _SPLITS:
            ignored.append(name)
            continue
        folder = str(PurePosixPath(*path.parts[:-3]))
        splits = files.setdefault(folder, {split: [] for split in _SPLITS})
        splits[path.parts[-3]].append((path.parts[-2], name))
    return [
        ImageTree(folder, {split: sorted(entries) for split, entries in splits.items()}, tuple(ignored))
        for folder, splits in sorted(files.items())
    ]


def _decode(paths: list[str], archive: Archive, tolerance: Tolerance) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, 3, H, W) in the order of ``paths``, and which of them are whole, bool (N,)."""
    index = {path: i for i, path in enumerate(paths)}
    images = np.empty((len(paths), 3, 0, 0), np.uint8)
    whole = np.zeros(len(paths), bool)
    first = ""
    with progress("decoding", len(paths)) as bar:
        for path, contents in archive.read(paths):
            bar.update()
            what = f"{archive.path}: {path}"
            try:
                pixels = _pixels(what, contents)
            except DECODING_ERRORS as error:
                if tolerance.skip_damaged:
                    continue
                # Pillow names the buffer it read from, which says nothing to anyone.
                reason = "neither JPEG nor PNG" if isinstance(error, UnidentifiedImageError) else error
                raise UserError(
                    f"{what}: damaged, cannot be decoded ({reason}): replace it, or leave such files out with "
                    "--skip-damaged"
                ) from error
            if not first:
                first = path
                images = np.empty((len(paths), *pixels.shape), np.uint8)
            if pixels.shape != images.shape[1:]:
                raise UserError(
                    f"{what}: is {pixels.shape[2]}x{pixels.shape[1]}, but {first} is "
                    f"{images.shape[3]}x{images.shape[2]}: all images must be of one size"
                )
            images[index[path]] = pixels
            whole[index[path]] = True
    return images, whole


def _pixels(what: str, contents: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(contents), formats=_FORMATS) as image:
        if image.mode not in ("RGB", *_GREY):
            raise UserError(f"{what}: its mode is {image.mode}, neither RGB nor grey: convert it to RGB first")
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
