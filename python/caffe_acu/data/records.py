"""The table of records beside each LMDB: what ``verify`` holds the LMDB against.

A line is "key, label, digest, name", with tabs between: the LMDB's key, the label, the first 16 hex digits of
the SHA-256 of the record, and the file (or the index in the source) that the record was made from.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from caffe_acu.errors import UserError

KEY_DIGITS = 8


class Record(NamedTuple):
    key: bytes
    label: int
    digest: bytes
    name: bytes


def key_of_index(index: int) -> bytes:
    return b"%0*d" % (KEY_DIGITS, index)


def digest_of(record: bytes) -> bytes:
    return hashlib.sha256(record).hexdigest()[:16].encode()


def escape(name: bytes) -> bytes:
    """A name without the bytes that separate columns and lines."""
    return name.replace(b"\\", b"\\\\").replace(b"\t", b"\\t").replace(b"\n", b"\\n").replace(b"\r", b"\\r")


def line_of(record: Record) -> bytes:
    return b"%s\t%d\t%s\t%s\n" % (record.key, record.label, record.digest, escape(record.name))


def read_table(path: Path) -> Iterator[Record]:
    """The lines of a table; UserError, which names file and line, for one that is none. Names stay escaped."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                columns = line.rstrip(b"\n").split(b"\t")
                if len(columns) != 4 or not columns[1].isdigit():
                    raise UserError(f"{path}: line {number} is not that of a table of records: prepare the data again")
                yield Record(columns[0], int(columns[1]), columns[2], columns[3])
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}): prepare the data again") from error


def table_name(split: str) -> str:
    return f"{split}_records.tsv"
