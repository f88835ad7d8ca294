"""Records of an LMDB, read and decoded ahead of the network."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import lmdb
import numpy as np
from google.protobuf.message import DecodeError

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.layout import read_manifest
from caffe_acu.data.output_folder import MANIFEST
from caffe_acu.data.workers import in_order
from caffe_acu.errors import UserError
from caffe_acu.evaluation.views import Viewing

_DATABASE = "data.mdb"
_THREADS = 2
_AHEAD = 4  # batches that are read, or being read, while the network has another

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class DataFolder:
    """An LMDB, and the names of its classes where a manifest tells them."""

    lmdb: Path
    classes: tuple[str, ...] = ()


def find_data(folder: Path, split: str | None = None) -> DataFolder:
    """The LMDB ``folder``, or that of a split of the data set ``folder``: default the one that is not for training.

    UserError if it is neither, if the data set has no such split, or several to choose from.
    """
    if (folder / _DATABASE).is_file():
        if split:
            raise UserError(f"{folder}: is an LMDB itself: leave --split out, or give --data the data set's folder")
        beside = folder.parent / MANIFEST
        return DataFolder(folder, _classes(read_manifest(folder.parent)) if beside.is_file() else ())
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"{folder}: neither an LMDB ({_DATABASE}) nor a data set of caffe-acu ({MANIFEST}): check --data, or the "
            "source in the prototxt, which is taken relative to where the command runs"
        )
    manifest = read_manifest(folder)
    splits: dict[str, Any] = manifest.get("splits", {})
    names = [split] if split else [name for name in splits if name != "train"]
    if len(names) != 1 or names[0] not in splits:
        raise UserError(f"{folder}: choose one of its splits with --split: {', '.join(splits) or 'there are none'}")
    return DataFolder(folder / splits[names[0]].get("lmdb", f"{names[0]}_lmdb"), _classes(manifest))


def _classes(manifest: dict[str, Any]) -> tuple[str, ...]:
    return tuple(manifest.get("classes", ()))


class Records:
    """The Datums of an LMDB in the order of their keys, which is Caffe's; a context manager, for any thread."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        """Takes the first ``limit``, or all. UserError if there are none, or no LMDB."""
        self.path = path
        try:
            self._environment = lmdb.open(str(path), readonly=True, lock=False, create=False)
            with self._environment.begin() as transaction:
                keys = transaction.cursor().iternext(keys=True, values=False)
                self.keys = list(itertools.islice(keys, limit))
        except lmdb.Error as error:
            raise UserError(f"{path}: no LMDB, or a damaged one ({error}): prepare the data again") from error
        if not self.keys:
            self._environment.close()
            raise UserError(f"{path}: the LMDB is empty: prepare the data again")

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *_: object) -> None:
        self._environment.close()

    def __len__(self) -> int:
        return len(self.keys)

    def name(self, index: int) -> str:
        """For messages: the file and the record's key."""
        return f"{self.path}: record {self.keys[index].decode(errors='replace')}"

    def read(self, index: int) -> "caffe_pb2.Datum":
        try:
            with self._environment.begin(buffers=True) as transaction:
                datum = caffe_pb2.Datum.FromString(bytes(transaction.get(self.keys[index])))
        except (lmdb.Error, DecodeError) as error:
            raise UserError(f"{self.name(index)} is no Datum, or a damaged one: prepare the data again") from error
        if not datum.HasField("label"):
            raise UserError(f"{self.name(index)} has no label: evaluate takes labelled images")
        return datum

    def batch(self, indices: Sequence[int], viewing: Viewing) -> tuple[np.ndarray, np.ndarray]:
        """Views float32 (n crops, C, H, W), a record's in succession, and labels int64 (n,). UserError as above."""
        views = np.empty((len(indices), viewing.crops, *viewing.shape), np.float32)
        labels = np.empty(len(indices), np.int64)
        for i, index in enumerate(indices):
            datum = self.read(index)
            try:
                viewing.fill(views[i], datum)
            except ValueError as error:
                raise UserError(f"{self.name(index)}: {error}") from error
            labels[i] = datum.label
        return views.reshape(-1, *viewing.shape), labels


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order, computed on two threads a few items ahead, until it is closed.

    How far they get while the network computes depends on pycaffe: upstream's holds the interpreter's lock meanwhile.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="records") as pool:
        yield from in_order(lambda item: pool.submit(function, item), items, _AHEAD + 1)
