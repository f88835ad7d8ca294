"""Reads the official files of CIFAR-10 and CIFAR-100, Python and binary form.

A record of the binary form is a byte for each label and 3,072 of pixels, planes R, G, B, each in rows; what else
is different between the two stands in :mod:`.cifar_formats`.
"""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

import numpy as np

from caffe_acu.data.archive import Archive
from caffe_acu.data.batch_pickle import PickledBytes, unpickle
from caffe_acu.data.cifar_formats import CifarFormat, Labelling
from caffe_acu.data.images import ImageSet, Sources
from caffe_acu.data.options import Tolerance
from caffe_acu.data.progress import progress
from caffe_acu.errors import UserError

_PIXELS = 3 * 32 * 32


class _Batch(NamedTuple):
    images: np.ndarray  # uint8 (n, 3, 32, 32)
    labels: np.ndarray  # int64 (n, labellings), columns as in CifarFormat.labellings
    whole: bool  # False: bytes were left over after the last whole record


@dataclass(frozen=True)
class Batches:
    """The batch files in one folder of an archive."""

    format: CifarFormat
    folder: str
    suffix: str  # '' for the Python form, '.bin' for the binary one
    files: frozenset[str]  # all names in the folder

    @property
    def description(self) -> str:
        form = "binary" if self.suffix else "Python"
        return f"official {form} batches of {self.format.title} in {self.folder}"

    def read(self, archive: Archive, tolerance: Tolerance, labels: str) -> Sources:
        """All records in their order, with that label of theirs which ``labels``, a key of the labellings, names.

        Raises UserError, which names the file, for a missing, short or damaged one; with
        ``tolerance.allow_short`` missing and short ones give what they have.
        """
        labelling = self.format.labellings[labels]
        names_file = labelling.names_file if self.suffix else self.format.meta
        wanted = [*(name + self.suffix for name in self.format.records), names_file]
        paths = [self._path(file) for file in wanted if file in self.files]
        batches: dict[str, _Batch] = {}
        classes = labelling.classes
        with progress("reading batches", len(paths), " files") as bar:
            for path, contents in archive.read(paths):
                what, file = f"{archive.path}: {path}", PurePosixPath(path).name
                if file == names_file:
                    classes = self._class_names(what, contents, labelling)
                else:
                    batches[file.removesuffix(self.suffix)] = self._parse(what, contents)
                bar.update()

        short: dict[str, int] = {}
        for name, official in self.format.records.items():
            path = self._path(name + self.suffix)
            count = self._check(f"{archive.path}: {path}", batches.get(name), official, tolerance)
            if count < official or not batches[name].whole:
                short[path] = count
        source = f"{archive.path} ({self.description})"
        column = list(self.format.labellings).index(labels)
        train, test = (
            _join((batches[name] for name in group if name in batches), column, classes, source)
            for group in (self.format.train, self.format.test)
        )
        return Sources(train, test, self.description, short, skipped=(), ignored=())

    def _path(self, file: str) -> str:
        return str(PurePosixPath(self.folder, file))

    @property
    def _advice(self) -> str:
        return f"download the archive again, or compare its MD5 with data/{self.format.command}/README.md"

    def _check(self, what: str, batch: _Batch | None, official: int, tolerance: Tolerance) -> int:
        count = 0 if batch is None else len(batch.labels)
        if count > official:
            raise UserError(f"{what}: holds {count} records, more than the official {official}: {self._advice}")
        if not tolerance.allow_short:
            allow = f"{self._advice}, or take what is there with --allow-short"
            if batch is None:
                raise UserError(f"{what}: missing: {allow}")
            if not batch.whole:
                raise UserError(f"{what}: damaged, it ends inside record {count + 1}: {allow}")
            if count < official:
                raise UserError(f"{what}: short, {count} records of {official}: {allow}")
        return count

    def _parse(self, what: str, contents: bytes) -> _Batch:
        batch = self._parse_binary(contents) if self.suffix else self._parse_pickle(what, contents)
        # The other label is looked at as well: where it is wrong, the record is not to be trusted.
        for labels, labelling in zip(batch.labels.T, self.format.labellings.values(), strict=True):
            wrong = np.flatnonzero((labels < 0) | (labels >= len(labelling.classes)))
            if len(wrong):
                raise UserError(
                    f"{what}: damaged, record {wrong[0] + 1} has {labelling.title} {labels[wrong[0]]}, which is none "
                    f"of 0 to {len(labelling.classes) - 1}: {self._advice}"
                )
        return batch

    def _parse_binary(self, contents: bytes) -> _Batch:
        start = len(self.format.labellings)
        count, rest = divmod(len(contents), start + _PIXELS)
        records = np.frombuffer(contents, np.uint8, count * (start + _PIXELS)).reshape(count, start + _PIXELS)
        images = records[:, start:].reshape(count, 3, 32, 32)
        return _Batch(images, records[:, :start].astype(np.int64), rest == 0)

    def _parse_pickle(self, what: str, contents: bytes) -> _Batch:
        try:
            batch = unpickle(contents)
            data = batch.get(b"data")
            if not isinstance(data, PickledBytes) or data.array is None:
                raise pickle.UnpicklingError("it has no array 'data'")
            columns = [_integers(batch, labelling.key) for labelling in self.format.labellings.values()]
            if any(data.array.shape != (len(column), _PIXELS) for column in columns):
                counts = " and ".join(str(len(column)) for column in columns)
                raise pickle.UnpicklingError(f"'data' has shape {data.array.shape} for {counts} labels")
            return _Batch(data.array.reshape(-1, 3, 32, 32), np.array(columns, np.int64).T, True)
        except (pickle.UnpicklingError, OverflowError) as error:
            raise UserError(
                f"{what}: no batch of {self.format.title}, or a damaged one ({error}): {self._advice}"
            ) from error

    def _class_names(self, what: str, contents: bytes, labelling: Labelling) -> tuple[str, ...]:
        try:
            lines = contents.splitlines() if self.suffix else unpickle(contents).get(labelling.names_key)
            if not isinstance(lines, list) or not all(isinstance(line, bytes) for line in lines):
                raise pickle.UnpicklingError(f"it has no list {labelling.names_key.decode()!r}")
            names = tuple(line.decode().strip() for line in lines if line.strip())
        except (pickle.UnpicklingError, UnicodeDecodeError) as error:
            raise UserError(f"{what}: damaged, its names cannot be read ({error}): {self._advice}") from error
        # A name that stands for two classes would hide one of them wherever classes are listed.
        if len(set(names)) != len(labelling.classes) or len(names) != len(labelling.classes):
            raise UserError(
                f"{what}: damaged, holds {len(names)} class names, {len(set(names))} of them different, instead of "
                f"{len(labelling.classes)}: {self._advice}"
            )
        return names


def find(names: Iterable[str], format_: CifarFormat) -> list[Batches]:
    """Every folder among ``names`` that holds a batch file of ``format_``, once for each form."""
    folders: dict[str, set[str]] = {}
    for path in map(PurePosixPath, names):
        folders.setdefault(str(path.parent), set()).add(path.name)
    return [
        Batches(format_, folder, suffix, frozenset(files))
        for folder, files in sorted(folders.items())
        for suffix in ("", ".bin")
        if any(name + suffix in files for name in format_.records)
    ]


def _integers(batch: dict[bytes, object], key: bytes) -> list[int]:
    labels = batch.get(key)
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise pickle.UnpicklingError(f"it has no list {key.decode()!r}")
    return labels


def _join(batches: Iterable[_Batch], column: int, classes: tuple[str, ...], source: str) -> ImageSet:
    parts = list(batches)
    images = np.concatenate([np.empty((0, 3, 32, 32), np.uint8), *(part.images for part in parts)])
    labels = np.concatenate([np.empty(0, np.int64), *(part.labels[:, column] for part in parts)])
    return ImageSet(images, labels, classes, source)
