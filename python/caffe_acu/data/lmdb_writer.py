"""Writes LMDBs of Datum messages with float values, as Caffe's Data layer reads them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.progress import progress
from caffe_acu.data.records import Record, digest_of, key_of_index, line_of
from caffe_acu.errors import UserError

Shape = tuple[int, int, int]  # channels, height, width

_PAGE = 4096
# Field 6 of Datum, wire type 5 (four bytes). caffe.proto does not pack the field: each value has its tag.
_FLOAT_DATA_TAG = caffe_pb2.Datum.FLOAT_DATA_FIELD_NUMBER << 3 | 5
_VALUE = np.dtype([("tag", "u1"), ("value", "<f4")])


def serialize_datums(images: np.ndarray, labels: np.ndarray) -> Iterator[bytes]:
    """What Datum.SerializeToString() gives for each of ``images`` float32 (n, C, H, W), labels (n,).

    protobuf appends a float at a time; here NumPy writes all of them at once, behind a header that protobuf
    serialises. float_data has the highest number of the fields in use, so it comes last there too.
    """
    values = np.empty((len(images), images[0].size if len(images) else 0), _VALUE)
    values["tag"] = _FLOAT_DATA_TAG
    values["value"] = images.reshape(values.shape)
    _, channels, height, width = images.shape
    for row, label in zip(values, labels, strict=True):
        header = caffe_pb2.Datum(channels=channels, height=height, width=width, label=int(label))
        yield header.SerializeToString() + row.tobytes()


def estimate_bytes(count: int, shape: Shape) -> int:
    """About the size of an LMDB of ``count`` records of ``shape``, and never less than its size."""
    record = 32 + _VALUE.itemsize * int(np.prod(shape))
    # LMDB gives a value that does not fit twice into a page pages of its own, and to others a share of one.
    room = record if record < _PAGE // 2 else -(-(record + 16) // _PAGE) * _PAGE
    return int(count * (room + 64) * 1.05) + 64 * _PAGE


def write_lmdb(
    folder: Path,
    table: Path,
    shape: Shape,
    labels: np.ndarray,
    batches: Iterable[np.ndarray],
) -> None:
    """Creates the LMDB ``folder``: records 00000000, 00000001, ... of ``batches`` float32 (n, *shape), in order.

    ``table`` becomes their table (:mod:`.records`), in which a record is named by its index.
    Raises UserError if it cannot be written (a full disk), ValueError if batches and labels disagree.
    """
    count = len(labels)
    index = 0
    try:
        # Durability comes from the fsync at the end; no one reads an unfinished one, so no lock file either.
        with (
            lmdb.open(str(folder), map_size=estimate_bytes(count, shape), sync=False, lock=False) as environment,
            progress(f"writing {folder.name}", count) as bar,
            table.open("wb") as lines,
        ):
            for images in batches:
                with environment.begin(write=True) as transaction:
                    for record in serialize_datums(images, labels[index : index + len(images)]):
                        name = key_of_index(index)
                        transaction.put(name, record, append=True)
                        lines.write(line_of(Record(name, int(labels[index]), digest_of(record), b"%d" % index)))
                        index += 1
                bar.update(len(images))
            environment.sync(True)
            entries = environment.stat()["entries"]
    except lmdb.Error as error:
        raise UserError(f"{folder}: cannot be written ({error}): free some space, or choose another --out") from error
    if not index == entries == count:
        raise ValueError(f"{folder}: {count} labels, {index} images, {entries} records")
