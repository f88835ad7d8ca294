"""`caffe-acu data verify`: a whole data set passes, and each planted damage is found and named."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import lmdb
import numpy as np
import pytest

import cifar_sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.data.layout import file_digest, manifest_digest
from caffe_acu.data.options import CifarOptions, Tolerance, WriteOptions
from caffe_acu.data.prepare import prepare as prepare_cifar
from caffe_acu.data.records import digest_of
from caffe_acu.data.verify import verify
from caffe_acu.errors import UserError
from picture_sources import class_tree, encoded, pixels
from pictures_run import prepare

PAGE = 4096
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8  # LMDB's flags of pages


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("originals")
    class_tree(folder / "pictures", 20)
    prepare(folder / "pictures", folder / "jpeg")
    cifar_sources.python_batches(folder / "batches", 10)
    options = CifarOptions(preprocess="gcn", tolerance=Tolerance(allow_short=True), write=WriteOptions(pad=0))
    prepare_cifar(folder / "batches", folder / "float", options)
    return {name: folder / name for name in ("jpeg", "float")}


@pytest.fixture(params=("jpeg", "float"))
def data_set(request, originals, tmp_path) -> Path:
    return shutil.copytree(originals[request.param], tmp_path / request.param)


@pytest.fixture
def pictures(originals, tmp_path) -> Path:
    return shutil.copytree(originals["jpeg"], tmp_path / "data set")


def findings(folder: Path) -> list[str]:
    return verify(folder, 1).findings


@contextmanager
def manifest_of(folder: Path, sealed: bool = True) -> Iterator[dict]:
    """To be changed; with its digest made anew if ``sealed``, so that it looks as if it were written like that."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    yield manifest
    if sealed:
        manifest["manifest_sha256"] = manifest_digest(manifest)
    path.write_text(json.dumps(manifest))


@contextmanager
def records_of(folder: Path, with_table: bool = False) -> Iterator[lmdb.Transaction]:
    """The training records to be changed; the manifest then has the file's new size.

    ``with_table``: and the table has the records' new digests and the manifest the table's, so that what is wrong
    with the records shows in nothing but themselves.
    """
    with lmdb.open(str(folder / "train_lmdb"), map_size=1 << 26, lock=False) as environment:
        with environment.begin(write=True) as transaction:
            yield transaction
        with environment.begin() as transaction:
            stored = dict(transaction.cursor())
    table = folder / "train_records.tsv"
    if with_table:
        lines = [line.split(b"\t") for line in table.read_bytes().splitlines()]
        table.write_bytes(
            b"".join(b"\t".join((key, label, digest_of(stored[key]), name)) + b"\n" for key, label, _, name in lines)
        )
    with manifest_of(folder) as manifest:
        manifest["lmdb_bytes"]["train"] = (folder / "train_lmdb" / "data.mdb").stat().st_size
        manifest["sha256"][table.name] = file_digest(table)


def key(index: int) -> bytes:
    return b"%08d" % index


def test_a_whole_data_set(data_set, capsys):
    assert main(["data", "verify", str(data_set), "--workers", "2"]) == 0
    counts = {"jpeg": "train 40 records, val 40 records", "float": "train 50 records, test 10 records"}
    assert capsys.readouterr().out == f"{data_set}: whole ({counts[data_set.name]})\n"


def test_damaged_records(data_set, capsys):
    with records_of(data_set) as transaction:
        value = bytearray(transaction.get(key(3)))
        value[-20] ^= 4
        transaction.put(key(3), bytes(value))
        transaction.delete(key(7))
        transaction.put(key(11), transaction.get(key(12)))
        datum = caffe_pb2.Datum.FromString(transaction.get(key(20)))
        datum.label = 1 - min(datum.label, 1)
        transaction.put(key(20), datum.SerializeToString())
        transaction.put(b"more", transaction.get(key(0)))
        transaction.put(b"and more", transaction.get(key(0)))
    names = [line.split(b"\t")[3].decode() for line in (data_set / "train_records.tsv").read_bytes().splitlines()]
    count = len(names)
    changed = [
        f"train_lmdb: record {key(i).decode()} ({names[i]}) is not what was written (its digest differs)"
        for i in (3, 11, 20)
    ]
    missing = f"train_lmdb: record 00000007 ({names[7]}) is missing"
    assert findings(data_set) == [
        changed[0],
        missing,
        *changed[1:],
        f"train_lmdb: holds {count + 1} records, its table {count}",
    ]
    assert main(["data", "verify", str(data_set), "--workers", "1"]) == 1
    assert f"{data_set}: DAMAGED (train {count} records" in capsys.readouterr().out


def test_a_flipped_bit_of_the_disk(data_set):
    with lmdb.open(str(data_set / "train_lmdb"), readonly=True, lock=False) as environment:
        with environment.begin() as transaction:
            value = transaction.get(key(5))
    path = data_set / "train_lmdb" / "data.mdb"
    contents = bytearray(path.read_bytes())
    assert contents.count(value) >= 1
    begin = -1
    while (begin := contents.find(value, begin + 1)) >= 0:  # pages that are no longer in use may have it too
        contents[begin + len(value) // 2] ^= 1
    path.write_bytes(contents)
    (finding,) = findings(data_set)
    assert finding.startswith("train_lmdb: record 00000005 (") and finding.endswith("(its digest differs)")


@pytest.mark.parametrize(
    "change, words",
    (
        (lambda path: path.write_bytes(path.read_bytes()[:-PAGE]), "has [0-9,]+ bytes, where [0-9,]+ were written"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "has [0-9,]+ bytes, where [0-9,]+ were written"),
        (lambda path: path.write_bytes(b""), "has 0 bytes, where"),
        (lambda path: path.unlink(), "is missing, where"),
        (lambda path: shutil.rmtree(path.parent), "is missing, where"),
    ),
    ids=("cut", "longer", "empty", "missing", "folder missing"),
)
def test_an_lmdb_of_another_size(pictures, change, words):
    change(pictures / "train_lmdb" / "data.mdb")
    report = verify(pictures, 1)
    (finding,) = report.findings
    assert finding.startswith("train_lmdb/data.mdb: ")
    assert re.search(words, finding)
    assert report.records == {"val": 40}


def spoil_pages(path: Path, flags: int, make: Callable[[], bytes]) -> None:
    """Overwrites all pages of a kind."""
    contents = bytearray(path.read_bytes())
    kinds = [int.from_bytes(contents[begin + 10 : begin + 12], "little") for begin in range(0, len(contents), PAGE)]
    chosen = [number for number, kind in enumerate(kinds) if kind & 0xF == flags]
    assert chosen
    for number in chosen:
        contents[number * PAGE : (number + 1) * PAGE] = make()
    path.write_bytes(contents)


@pytest.mark.parametrize("flags", (META, BRANCH, LEAF, OVERFLOW), ids=("meta", "branch", "leaf", "overflow"))
@pytest.mark.parametrize("what", ("zeros", "ones", "noise"))
def test_a_damaged_structure(originals, tmp_path, capfd, flags, what):
    original = originals["float" if flags == OVERFLOW else "jpeg"]
    folder = shutil.copytree(original, tmp_path / "out")
    random = np.random.default_rng(flags)
    make = {"zeros": lambda: bytes(PAGE), "ones": lambda: b"\xff" * PAGE, "noise": lambda: random.bytes(PAGE)}[what]
    spoil_pages(folder / "train_lmdb" / "data.mdb", flags, make)
    assert main(["data", "verify", str(folder), "--workers", "1"]) == 1
    output = capfd.readouterr()
    assert "train_lmdb: " in output.out and ": DAMAGED (" in output.out and output.err == ""
    assert "val_lmdb: " not in output.out and "test_lmdb: " not in output.out


def test_changed_files(data_set):
    names = [path.name for path in data_set.iterdir() if path.is_file() and path.name != "manifest.json"]
    own = {"jpeg": {"classes.txt", "mean.binaryproto", "mean.json"}, "float": {"preprocess.npz"}}[data_set.name]
    assert own <= set(names) and any(name.endswith("_records.tsv") for name in names)
    for name in own:
        contents = bytearray((data_set / name).read_bytes())
        contents[len(contents) // 2] ^= 1
        (data_set / name).write_bytes(contents)
    assert sorted(findings(data_set)) == sorted(f"{name}: is not what was written (its digest differs)" for name in own)
    for name in own:
        (data_set / name).unlink()
    assert sorted(findings(data_set)) == sorted(f"{name}: cannot be read (No such file or directory)" for name in own)


def test_a_changed_table(pictures):
    table = pictures / "train_records.tsv"
    lines = table.read_bytes().splitlines(keepends=True)
    differs = "train_records.tsv: is not what was written (its digest differs)"
    table.write_bytes(b"".join(lines[:-1]))
    found = findings(pictures)
    assert found[0] == differs
    assert {"train_lmdb: holds 40 records, its table 39"} < set(found)
    assert "train_lmdb: its table has 39 records, the manifest 40" in found
    table.write_bytes(b"".join(lines[:9]) + b"no line of a table\n" + b"".join(lines[10:]))
    found = findings(pictures)
    assert found[0] == differs and "line 10 is not that of a table of records" in found[1]
    table.unlink()
    assert findings(pictures)[0] == "train_records.tsv: cannot be read (No such file or directory)"


def test_records_that_no_digest_gives_away(pictures):
    """As a faulty program might write them."""

    def put(index: int, **changes) -> None:
        datum = caffe_pb2.Datum.FromString(transaction.get(key(index)))
        for name, value in changes.items():
            setattr(datum, name, value)
        transaction.put(key(index), datum.SerializeToString())

    labels = [int(line.split(b"\t")[1]) for line in (pictures / "train_records.tsv").read_bytes().splitlines()]
    with records_of(pictures, with_table=True) as transaction:
        put(1, data=encoded(pixels("x", 32, 32))[:-100])
        put(2, data=b"no picture")
        put(3, data=encoded(pixels("x", 40, 32)))
        put(4, label=1 - labels[4])
        put(5, data=b"", encoded=False)
        transaction.put(key(6), b"no datum")
    parts = [finding.partition(") ")[2] for finding in findings(pictures)]
    wanted = (
        "does not decode (Premature end of JPEG file)",
        "does not decode (its encoded image cannot be decoded)",
        "has the shape (3, 32, 40), in the manifest (3, 32, 32)",
        f"has label {1 - labels[4]}, in the table {labels[4]}",
        "does not decode (it holds 0 values for an image of 3x32x32)",
        "does not decode (Error parsing message",
    )
    assert len(parts) == len(wanted)
    assert all(part.startswith(words) for part, words in zip(parts, wanted, strict=True))


def test_values_that_are_no_numbers(originals, tmp_path):
    folder = shutil.copytree(originals["float"], tmp_path / "out")
    with records_of(folder, with_table=True) as transaction:
        datum = caffe_pb2.Datum.FromString(transaction.get(key(8)))
        datum.float_data[100] = float("nan")
        transaction.put(key(8), datum.SerializeToString())
    (finding,) = findings(folder)
    assert finding == "train_lmdb: record 00000008 (8) has values that are no finite numbers"


def test_a_manifest_that_counts_otherwise(pictures):
    with manifest_of(pictures) as manifest:
        manifest["splits"]["train"]["per_class"]["bird"] += 1
        manifest["splits"]["val"]["images"] += 1
        manifest["classes"].pop()
    found = findings(pictures)
    assert "train_lmdb: class 'bird' has 20 records, in the manifest 21" in found
    assert "val_lmdb: its table has 40 records, the manifest 41" in found
    assert sum("has label 1, which is none of 0 to 0" in finding for finding in found) == 40


@pytest.mark.parametrize(
    "edit",
    (
        lambda manifest: manifest.update(source="somewhere else"),
        lambda manifest: manifest.pop("sha256"),
        lambda manifest: manifest.pop("lmdb_bytes"),
        lambda manifest: manifest.update(splits=["train"]),
        lambda manifest: manifest.update(splits={"train": {}}),
        lambda manifest: manifest["splits"]["train"].update(shape=7),
        lambda manifest: manifest["splits"]["train"].update(images="many"),
    ),
)
def test_an_edited_manifest(pictures, capsys, edit):
    with manifest_of(pictures, sealed=False) as manifest:
        edit(manifest)
    assert main(["data", "verify", str(pictures), "--workers", "1"]) == 1
    assert "manifest.json: is not what was written (its own digest differs)\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "contents, words",
    (
        (None, "manifest.json: is not there: prepare the data"),
        (b"{", "manifest.json: cannot be read"),
        (b"\xff", "manifest.json: cannot be read"),
        (b"7", "manifest.json: cannot be read"),
        (b'{"classes": []}', "was prepared by an earlier version, without digests: prepare it again"),
    ),
)
def test_no_manifest_or_an_old_one(tmp_path, capsys, contents, words):
    if contents is not None:
        (tmp_path / "manifest.json").write_bytes(contents)
    assert main(["data", "verify", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1


def test_the_number_of_workers(originals):
    for count in (0, -1):
        with pytest.raises(UserError, match=f"--workers is {count}: it takes 1 or more"):
            verify(originals["jpeg"], count)


def test_many_findings_are_cut(pictures, capsys):
    with records_of(pictures) as transaction:
        for index in range(30):
            transaction.delete(key(index))
    assert main(["data", "verify", str(pictures), "--workers", "1"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 22
    assert all("is missing" in line for line in lines[:20])
    assert lines[20] == "and 11 more"  # ten records, and their number
    assert lines[21].endswith(": DAMAGED (train 40 records, val 40 records)")
