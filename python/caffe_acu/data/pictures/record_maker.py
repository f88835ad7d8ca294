"""What a worker process does: files in, records of an LMDB out."""

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.pictures.file_list import Place
from caffe_acu.data.pictures.options import RecordOptions
from caffe_acu.data.pictures.picture import DamagedPicture, decode, encode, fit, has_exif
from caffe_acu.data.records import digest_of

# Files in a task: few enough that sums of pixels fit into 16 bits; enough that sending them costs little.
TASK_FILES = 64
_MAX_OPEN_ARCHIVES = 256


class File(NamedTuple):
    """``index`` is the place in the split's list, which makes the key."""

    index: int
    name: bytes
    place: Place
    label: int


class Made(NamedTuple):
    index: int
    size: int  # of its record, a serialised Datum
    digest: bytes


@dataclass
class Batch:
    """The outcome for a task of at most TASK_FILES files, in their order."""

    made: list[Made] = field(default_factory=list)
    records: bytes = b""  # of all in ``made``, one after the other, which is quicker to send than many
    failed: list[tuple[int, str]] = field(default_factory=list)  # index, reason
    kept: list[tuple[int, str]] = field(default_factory=list)  # damaged, and yet in ``made``
    remarks: Counter[str] = field(default_factory=Counter)
    pixel_sum: np.ndarray | None = None  # uint16 (size, size, 3), B, G, R, of all in ``made``
    square_sum: np.ndarray = field(default_factory=lambda: np.zeros(3))  # of every channel, if there is pixel_sum

    @property
    def bytes(self) -> int:
        """What it takes in memory, about."""
        sums = 0 if self.pixel_sum is None else self.pixel_sum.nbytes
        return sums + len(self.records)


@dataclass
class Maker:
    """Opens archives once. ``with_sums``: the split's mean is wanted."""

    containers: tuple[bytes, ...]
    options: RecordOptions
    keep_damaged: bool
    with_sums: bool

    def __post_init__(self) -> None:
        self._archives: dict[int, int] = {}
        # Processes share the cores already.
        cv2.setNumThreads(1)

    def make(self, files: list[File]) -> Batch:
        batch = Batch()
        if self.with_sums:
            batch.pixel_sum = np.zeros((self.options.size, self.options.size, 3), np.uint16)
        records = []
        for file in files:
            try:
                record = self._record(batch, file)
            except DamagedPicture as damage:
                batch.failed.append((file.index, str(damage)))
            else:
                records.append(record)
                batch.made.append(Made(file.index, len(record), digest_of(record)))
        batch.records = b"".join(records)
        return batch

    def _record(self, batch: Batch, file: File) -> bytes:
        contents = self._read(file)
        picture = decode(contents, self.options, self.keep_damaged)
        pixels = fit(picture.pixels, self.options)
        batch.remarks.update(picture.remarks)
        if "damaged, kept" in picture.remarks:
            batch.kept.append((file.index, "damaged; what could be decoded is used"))
        if self.options.encoding == "raw":
            record = self._raw(pixels, file.label)
        else:
            jpeg = contents
            # The LMDB has room for so many bytes a record; what exceeds them is no picture but its metadata.
            fits = picture.ordinary and pixels.shape == picture.pixels.shape and len(contents) <= pixels.size
            if fits and not has_exif(contents):
                batch.remarks["of the right size, kept as it is"] += 1
            else:
                jpeg = encode(pixels, self.options)
            record = self._datum(jpeg, file.label, encoded=True)
        if batch.pixel_sum is not None:
            batch.pixel_sum += pixels
            mean, deviation = (values.ravel() for values in cv2.meanStdDev(pixels))
            # A whole number, which rounding gives back.
            batch.square_sum += np.rint((mean**2 + deviation**2) * pixels[:, :, 0].size)
        return record

    def _raw(self, pixels: np.ndarray, label: int) -> bytes:
        if self.options.channel_order == "rgb":
            pixels = pixels[:, :, ::-1]
        return self._datum(pixels.transpose(2, 0, 1).tobytes(), label, encoded=False)

    def _datum(self, data: bytes, label: int, encoded: bool) -> bytes:
        size = self.options.size
        datum = caffe_pb2.Datum(channels=3, height=size, width=size, data=data, label=label, encoded=encoded)
        return datum.SerializeToString()

    def _read(self, file: File) -> bytes:
        place = file.place
        container = self.containers[place.container]
        try:
            if place.offset < 0:
                with open(os.path.join(container, file.name), "rb") as stream:
                    return stream.read()
            if place.container not in self._archives:
                if len(self._archives) == _MAX_OPEN_ARCHIVES:
                    for archive in self._archives.values():
                        os.close(archive)
                    self._archives.clear()
                self._archives[place.container] = os.open(container, os.O_RDONLY)
            contents = os.pread(self._archives[place.container], place.size, place.offset)
        except OSError as error:
            raise DamagedPicture(f"cannot be read ({error.strerror})") from error
        if len(contents) < place.size:
            raise DamagedPicture("the archive ends before it")
        return contents


_maker: Maker


def start_maker(*arguments) -> None:
    """In a worker, once; the arguments are those of Maker."""
    global _maker
    _maker = Maker(*arguments)


def make_records(files: list[File]) -> Batch:
    """In a worker, for each task."""
    return _maker.make(files)
