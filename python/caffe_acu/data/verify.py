"""Proves a data set whole: every record is what it was when it was written, and decodes."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import simplejpeg
from google.protobuf.message import DecodeError

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.datum import decode
from caffe_acu.data.layout import file_digest, manifest_digest, read_manifest
from caffe_acu.data.options import require
from caffe_acu.data.pictures.picture import JPEG_START
from caffe_acu.data.progress import progress
from caffe_acu.data.records import Record, digest_of, read_table, table_name
from caffe_acu.data.workers import WorkerDied, Workers, available_cores
from caffe_acu.errors import UserError

_TASK_RECORDS = 256
_DATA_FILE = "data.mdb"


@dataclass
class Report:
    """``findings``: a line for everything that is not as it was; ``records`` that were looked at, by split."""

    findings: list[str] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)


def verify(folder: Path, workers: int | None = None) -> Report:
    """Holds the data set ``folder`` against its manifest and its tables of records.

    Compared are the digests of the manifest and of the files beside the LMDBs, the LMDBs' sizes, the number of
    records, every record's digest, label and picture, and the counts per class. UserError if there is no
    manifest, or one of before there were digests.
    """
    require(workers is None or workers > 0, f"--workers is {workers}: it takes 1 or more")
    manifest = read_manifest(folder)
    if "manifest_sha256" not in manifest:
        raise UserError(f"{folder}: was prepared by an earlier version, without digests: prepare it again")
    report = Report()
    edited = manifest_digest(manifest) != manifest["manifest_sha256"]
    if edited:
        report.findings.append("manifest.json: is not what was written (its own digest differs)")
    try:
        for name, digest in manifest["sha256"].items():
            report.findings += _file_findings(folder / name, digest)
        for name, split in manifest["splits"].items():
            wanted = Split(name, folder, split, manifest["lmdb_bytes"][name], len(manifest["classes"]))
            _verify_split(wanted, report, workers or available_cores())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        if not edited:
            raise
        report.findings.append(f"manifest.json: does not describe a data set any more ({error!r})")
    return report


def _file_findings(path: Path, digest: str) -> Iterator[str]:
    try:
        if file_digest(path) != digest:
            yield f"{path.name}: is not what was written (its digest differs)"
    except OSError as error:
        yield f"{path.name}: cannot be read ({error.strerror})"


@dataclass(frozen=True)
class Split:
    """What the manifest says of a split."""

    name: str
    folder: Path
    entry: dict[str, Any]
    bytes: int  # of data.mdb
    classes: int

    @property
    def lmdb(self) -> Path:
        return self.folder / self.entry["lmdb"]


def _verify_split(split: Split, report: Report, workers: int) -> None:
    where = split.entry["lmdb"]
    path = split.lmdb / _DATA_FILE
    size = path.stat().st_size if path.is_file() else None
    if size != split.bytes:
        # LMDB maps the file: reading beyond its end would end the process.
        is_now = "is missing" if size is None else f"has {size:,} bytes"
        report.findings.append(f"{where}/{_DATA_FILE}: {is_now}, where {split.bytes:,} were written")
        return
    counts: Counter[int] = Counter()
    findings: list[str] = []
    done = 0
    try:
        with progress(f"verifying {where}", split.entry["images"]) as bar, Workers(workers, _start, split) as pool:
            records = read_table(split.folder / table_name(split.name))
            for task, found in pool.map(_check, _tasks(records)):
                findings += found
                counts.update(record.label for record in task)
                done += len(task)
                bar.update(len(task))
            findings += next(pool.map(_count_records, [done]))[1]
    except UserError as error:
        findings.append(str(error))
    except WorkerDied:
        findings.append(f"reading it crashed, after {done:,} records: the file's structure is damaged")
    if done != split.entry["images"]:
        findings.append(f"its table has {done:,} records, the manifest {split.entry['images']:,}")
    for label, (name, count) in enumerate(split.entry["per_class"].items()):
        if counts[label] != count:
            findings.append(f"class '{name}' has {counts[label]:,} records, in the manifest {count:,}")
    report.findings += (f"{where}: {finding}" for finding in findings)
    report.records[split.name] = done


def _tasks(records: Iterable[Record]) -> Iterator[list[Record]]:
    records = iter(records)
    while task := list(islice(records, _TASK_RECORDS)):
        yield task


# What follows runs in workers, because a damaged LMDB can crash whoever reads it.
_split: Split
_environment: lmdb.Environment


def _start(split: Split) -> None:
    global _split, _environment
    _split = split
    # lmdb aborts the process on some damages; its message would say nothing to anyone.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        _environment = lmdb.open(str(split.lmdb), readonly=True, lock=False)
    except lmdb.Error:
        os._exit(1)


def _count_records(table_records: int) -> list[str]:
    entries = _environment.stat()["entries"]
    return [] if entries == table_records else [f"holds {entries:,} records, its table {table_records:,}"]


def _check(task: list[Record]) -> list[str]:
    findings = []
    try:
        with _environment.begin() as transaction:
            for record in task:
                value = transaction.get(record.key)
                problem = "is missing" if value is None else _problem(record, value)
                if problem:
                    name = record.name.decode("utf-8", "backslashreplace")
                    findings.append(f"record {record.key.decode('latin1')} ({name}) {problem}")
    except lmdb.Error as error:
        findings.append(f"cannot be read from record {task[0].key.decode('latin1')} on ({error})")
    return findings


def _problem(record: Record, value: bytes) -> str | None:
    if digest_of(value) != record.digest:
        return "is not what was written (its digest differs)"
    try:
        datum = caffe_pb2.Datum.FromString(value)
        if datum.encoded and datum.data.startswith(JPEG_START):
            simplejpeg.decode_jpeg(datum.data)  # OpenCV gives the rest of a truncated file a grey
        pixels = decode(datum)
    except (DecodeError, ValueError) as error:
        return f"does not decode ({error})"
    if pixels.shape != tuple(_split.entry["shape"]):
        return f"has the shape {pixels.shape}, in the manifest {tuple(_split.entry['shape'])}"
    if datum.label != record.label:
        return f"has label {datum.label}, in the table {record.label}"
    if not 0 <= datum.label < _split.classes:
        return f"has label {datum.label}, which is none of 0 to {_split.classes - 1}"
    if not np.isfinite(pixels).all():
        return "has values that are no finite numbers"
    return None
