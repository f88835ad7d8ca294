"""Reads the official batches of CIFAR-10, Python and binary form.

Six files of 10,000 records; a record of the binary form is a byte of label and 3,072 of pixels, planes R, G,
B, each in rows (https://www.cs.toronto.edu/~kriz/cifar.html).
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from caffe_acu.data.archive import Archive
from caffe_acu.data.batch_pickle import PickledBytes, unpickle
from caffe_acu.data.images import CIFAR10_CLASSES, ImageSet, Sources
from caffe_acu.data.options import Tolerance
from caffe_acu.data.progress import progress
from caffe_acu.errors import UserError

RECORDS = 10_000  # in every batch file
_TRAIN = tuple(f"data_batch_{number}" for number in range(1, 6))
_TEST = ("test_batch",)
_PIXELS = 3 * 32 * 32
_ADVICE = "download the archive again, or compare its MD5 with data/cifar10/README.md"


class _Batch(NamedTuple):
    images: np.ndarray  # uint8 (n, 3, 32, 32)
    labels: np.ndarray  # int64 (n,)
    whole: bool  # False: bytes were left over after the last whole record


@dataclass(frozen=True)
class Batches:
    """The batch files in one folder of an archive."""

    folder: str
    suffix: str  # '' for the Python form, '.bin' for the binary one
    names: frozenset[str]  # of those that are there, without the suffix

    @property
    def description(self) -> str:
        return f"official {'binary' if self.suffix else 'Python'} batches in {self.folder}"

    def read(self, archive: Archive, tolerance: Tolerance) -> Sources:
        """All records, batches 1 to 5 for training, in their order.

        Raises UserError, which names the file, for a missing, short or damaged one; with
        ``tolerance.allow_short`` missing and short ones give what they have.
        """
        batches: dict[str, _Batch] = {}
        with progress("reading batches", len(self.names), " files") as bar:
            for path, contents in archive.read([self._path(name) for name in self.names]):
                name = PurePosixPath(path).name.removesuffix(self.suffix)
                batches[name] = _parse(f"{archive.path}: {path}", contents, self.suffix == ".bin")
                bar.update()

        short: dict[str, int] = {}
        for name in (*_TRAIN, *_TEST):
            count = _check(f"{archive.path}: {self._path(name)}", batches.get(name), tolerance)
            if count < RECORDS or not batches[name].whole:
                short[self._path(name)] = count
        source = f"{archive.path} ({self.description})"
        train, test = (_join((batches[n] for n in group if n in batches), source) for group in (_TRAIN, _TEST))
        return Sources(train, test, self.description, short, skipped=(), ignored=())

    def _path(self, name: str) -> str:
        return str(PurePosixPath(self.folder, name + self.suffix))


def find(names: Iterable[str]) -> list[Batches]:
    """Every folder among ``names`` that holds a batch file, once for each form."""
    found: dict[tuple[str, str], set[str]] = {}
    for path in map(PurePosixPath, names):
        name = path.name.removesuffix(".bin")
        if name in (*_TRAIN, *_TEST):
            found.setdefault((str(path.parent), path.suffix), set()).add(name)
    return [Batches(folder, suffix, frozenset(group)) for (folder, suffix), group in sorted(found.items())]


def _check(what: str, batch: _Batch | None, tolerance: Tolerance) -> int:
    count = 0 if batch is None else len(batch.labels)
    if count > RECORDS:
        raise UserError(f"{what}: holds {count} records, more than the official {RECORDS}: {_ADVICE}")
    if not tolerance.allow_short:
        allow = f"{_ADVICE}, or take what is there with --allow-short"
        if batch is None:
            raise UserError(f"{what}: missing: {allow}")
        if not batch.whole:
            raise UserError(f"{what}: damaged, it ends inside record {count + 1}: {allow}")
        if count < RECORDS:
            raise UserError(f"{what}: short, {count} records of {RECORDS}: {allow}")
    return count


def _parse(what: str, contents: bytes, binary: bool) -> _Batch:
    batch = _parse_binary(contents) if binary else _parse_pickle(what, contents)
    wrong = np.flatnonzero((batch.labels < 0) | (batch.labels >= len(CIFAR10_CLASSES)))
    if len(wrong):
        raise UserError(
            f"{what}: damaged, record {wrong[0] + 1} has label {batch.labels[wrong[0]]}, which is none of 0 to 9: "
            f"{_ADVICE}"
        )
    return batch


def _parse_binary(contents: bytes) -> _Batch:
    count, rest = divmod(len(contents), 1 + _PIXELS)
    records = np.frombuffer(contents, np.uint8, count * (1 + _PIXELS)).reshape(count, 1 + _PIXELS)
    return _Batch(records[:, 1:].reshape(count, 3, 32, 32), records[:, 0].astype(np.int64), rest == 0)


def _parse_pickle(what: str, contents: bytes) -> _Batch:
    try:
        batch = unpickle(contents)
        data, labels = batch.get(b"data"), batch.get(b"labels")
        pixels = data.array if isinstance(data, PickledBytes) else None
        if pixels is None or not isinstance(labels, list) or not all(type(label) is int for label in labels):
            raise pickle.UnpicklingError("it has no array 'data' or no list 'labels'")
        if pixels.shape != (len(labels), _PIXELS):
            raise pickle.UnpicklingError(f"'data' has shape {pixels.shape} for {len(labels)} labels")
        return _Batch(pixels.reshape(-1, 3, 32, 32), np.array(labels, np.int64), True)
    except (pickle.UnpicklingError, OverflowError) as error:
        raise UserError(f"{what}: no batch of CIFAR-10, or a damaged one ({error}): {_ADVICE}") from error


def _join(batches: Iterable[_Batch], source: str) -> ImageSet:
    parts = list(batches)
    images = np.concatenate([np.empty((0, 3, 32, 32), np.uint8), *(part.images for part in parts)])
    labels = np.concatenate([np.empty(0, np.int64), *(part.labels for part in parts)])
    return ImageSet(images, labels, CIFAR10_CLASSES, source)
