"""What a plan or a data set of pictures holds, by eyes of the tests' own."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import cv2
import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.pictures.file_list import FileList
from picture_sources import centre, shows


class Seen(NamedTuple):
    key: bytes
    name: str  # from the table
    label: int
    pixels: np.ndarray  # uint8 (H, W, 3), R, G, B
    value: bytes  # the record itself

    def shows(self, picture: str) -> bool:
        return shows(self.pixels, picture)


def contents_of(files: FileList, index: int) -> bytes:
    """The bytes of a file in a plan."""
    container, offset, size = files.place(index)
    path = files.containers[container]
    if offset < 0:
        return Path(os.fsdecode(os.path.join(path, files.name(index)))).read_bytes()
    with open(path, "rb") as archive:
        archive.seek(offset)
        return archive.read(size)


def by_stem(name: str) -> str:
    return Path(name).stem


def in_class_tree(split: str) -> Callable[[str], str]:
    """For names as picture_sources.class_tree makes them."""

    def picture(name: str) -> str:
        folder, _, base = name.rpartition("/")
        stem = Path(base).stem
        return f"{split}/{folder}/{int(stem) if stem.isdigit() else stem}"

    return picture


def seen(files: FileList, picture_of: Callable[[str], str] = by_stem) -> list[tuple[str, int]]:
    """Name and label of every file in order; ``picture_of`` its name, it must hold what picture_sources calls so."""
    entries = []
    for index, label in enumerate(files.labels):
        name = os.fsdecode(files.name(index))
        picture = picture_of(name)
        bgr = cv2.imdecode(np.frombuffer(contents_of(files, index), np.uint8), cv2.IMREAD_COLOR)
        assert shows(centre(bgr[:, :, ::-1]), picture), picture
        entries.append((name, int(label)))
    return entries


def read_pictures(data_set: Path, split: str) -> list[Seen]:
    """A split's records in the order of the LMDB's keys, decoded as Caffe decodes them."""
    lines = (data_set / f"{split}_records.tsv").read_bytes().splitlines()
    table = {key: os.fsdecode(name) for key, _, _, name in (line.split(b"\t") for line in lines)}
    with lmdb.open(str(data_set / f"{split}_lmdb"), readonly=True, lock=False) as environment:
        with environment.begin() as transaction:
            values = list(transaction.cursor())
    assert [key for key, _ in values] == sorted(table)
    datums = [caffe_pb2.Datum.FromString(value) for _, value in values]
    return [
        Seen(key, table[key], datum.label, decoded(datum), value)
        for (key, value), datum in zip(values, datums, strict=True)
    ]


def decoded(datum: "caffe_pb2.Datum") -> np.ndarray:
    """uint8 (H, W, 3), R, G, B, as OpenCV has it or of raw planes B, G, R."""
    if datum.encoded:
        bgr = cv2.imdecode(np.frombuffer(datum.data, np.uint8), cv2.IMREAD_COLOR)
    else:
        shape = datum.channels, datum.height, datum.width
        bgr = np.frombuffer(datum.data, np.uint8).reshape(shape).transpose(1, 2, 0)
    return bgr[:, :, ::-1]
