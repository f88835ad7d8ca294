"""A list of files with labels that stays small at millions of them, and where each file's bytes are."""

import hashlib
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caffe_acu.data.records import escape


def printable(name: bytes) -> str:
    """A file's name for people: names need not be UTF-8, and may hold line breaks."""
    return name.decode("utf-8", "backslashreplace").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


class Place(NamedTuple):
    """Where a file's bytes are: a file of its own below ``container`` (offset -1), or a part of a tar archive."""

    container: int
    offset: int
    size: int


@dataclass
class Files:
    """Names in the order in which they were found, as columns. A name is relative to what was searched."""

    containers: list[bytes] = field(default_factory=list)  # folders and plain tar archives
    names: list[bytes] = field(default_factory=list)
    container: array = field(default_factory=lambda: array("i"))
    offset: array = field(default_factory=lambda: array("q"))
    size: array = field(default_factory=lambda: array("q"))

    def add(self, name: bytes, place: Place) -> None:
        self.names.append(name)
        self.container.append(place.container)
        self.offset.append(place.offset)
        self.size.append(place.size)

    def __len__(self) -> int:
        return len(self.names)

    def path(self, index: int) -> str:
        """For messages: the archive or folder and the name in it."""
        return _path(self.containers[self.container[index]], self.names[index], self.offset[index] >= 0)


@dataclass(frozen=True)
class FileList:
    """Files of one split in the order of their records; N of them.

    ``names`` are N names one after the other, which end at ``ends`` int64 (N,); ``labels`` int32 (N,);
    ``container`` int32, ``offset`` and ``size`` int64 (N,) are the columns of :class:`Place`.
    """

    containers: tuple[bytes, ...]
    names: bytes
    ends: np.ndarray
    labels: np.ndarray
    container: np.ndarray
    offset: np.ndarray
    size: np.ndarray

    @classmethod
    def of(
        cls, files: Files, chosen: Sequence[int] | np.ndarray, labels: Sequence[int] | np.ndarray, root: bytes = b""
    ) -> "FileList":
        """``files[i] for i in chosen``, whose names all begin with ``root``, which is taken off, and their labels."""
        names = [files.names[i][len(root) :] for i in chosen]
        chosen = np.asarray(chosen, np.int64)
        container, offset, size = (
            np.frombuffer(column, kind)[chosen] if len(column) else np.empty(0, kind)
            for column, kind in ((files.container, np.int32), (files.offset, np.int64), (files.size, np.int64))
        )
        # In an archive a file is found by its offset, in a folder by its name.
        folders = set(container[offset < 0].tolist())
        containers = (
            os.path.join(path, root) if index in folders else path for index, path in enumerate(files.containers)
        )
        labels = np.asarray(labels, np.int32)
        return cls(tuple(containers), *_join(names), labels, container, offset, size)

    def __len__(self) -> int:
        return len(self.labels)

    def name(self, index: int) -> bytes:
        begin = self.ends[index - 1] if index else 0
        return self.names[begin : self.ends[index]]

    def place(self, index: int) -> Place:
        return Place(int(self.container[index]), int(self.offset[index]), int(self.size[index]))

    def path(self, index: int) -> str:
        """For messages, as :meth:`Files.path`."""
        return _path(self.containers[self.container[index]], self.name(index), self.offset[index] >= 0)

    def take(self, indices: np.ndarray) -> "FileList":
        names = _join([self.name(i) for i in indices])
        columns = (column[indices] for column in (self.labels, self.container, self.offset, self.size))
        return FileList(self.containers, *names, *columns)

    def first_per_class(self, limit: int | None) -> "FileList":
        """The first ``limit`` files of every label, in their order; all of a label that has fewer."""
        if limit is None:
            return self
        seen = np.zeros(self.labels.max(initial=-1) + 1, np.int64)
        chosen = []
        for index, label in enumerate(self.labels):
            if seen[label] < limit:
                seen[label] += 1
                chosen.append(index)
        return self.take(np.array(chosen, np.int64))

    def digest(self) -> str:
        """SHA-256 of the lines "name, tab, label" in order: two lists with it are the same."""
        digest = hashlib.sha256()
        for index, label in enumerate(self.labels):
            digest.update(b"%s\t%d\n" % (escape(self.name(index)), label))
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        arrays = {key: getattr(self, key) for key in ("ends", "labels", "container", "offset", "size")}
        texts = {
            "names": np.frombuffer(self.names, np.uint8),
            "containers": np.frombuffer(b"\0".join(self.containers), np.uint8),
        }
        with path.open("wb") as file:
            np.savez(file, **arrays, **texts)
            file.flush()
            os.fsync(file.fileno())

    @classmethod
    def load(cls, path: Path) -> "FileList":
        """Raises OSError, ValueError or KeyError if ``path`` is not what :meth:`save` writes."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                tuple(arrays["containers"].tobytes().split(b"\0")),
                arrays["names"].tobytes(),
                *(arrays[key] for key in ("ends", "labels", "container", "offset", "size")),
            )


def _path(container: bytes, name: bytes, archived: bool) -> str:
    return f"{printable(container)}: {printable(name)}" if archived else printable(os.path.join(container, name))


def _join(names: Sequence[bytes]) -> tuple[bytes, np.ndarray]:
    return b"".join(names), np.cumsum([len(name) for name in names], dtype=np.int64)
