"""Real images through the command line, against bytes that other code reads."""

import json
import tarfile
from collections import Counter
from pathlib import Path

import numpy as np

from caffe_acu.cli.main import main
from lmdb_records import read_lmdb

BATCHES = tuple(f"data_batch_{number}.bin" for number in range(1, 6))


def make(out: Path, source: Path, *options: str) -> dict:
    arguments = ["data", "cifar10", "--source", str(source), "--out", str(out), "--preprocess", "none", "--pad", "0"]
    assert main([*arguments, *options]) == 0
    return json.loads((out / "manifest.json").read_text())


def exact_records(shared: Path) -> dict[str, np.ndarray]:
    """uint8 (n, 3073) for every batch file: label, pixels."""
    with tarfile.open(shared / "data" / "cifar10-lossless-head.tar.xz") as archive:
        contents = {Path(member.name).name: archive.extractfile(member).read() for member in archive if member.isfile()}
    return {
        name: np.frombuffer(contents[name], np.uint8)[: len(contents[name]) // 3073 * 3073].reshape(-1, 3073)
        for name in (*BATCHES, "test_batch.bin")
    }


def records(lmdb: Path) -> np.ndarray:
    """float32 (n, 3073) like :func:`exact_records`."""
    images, labels = read_lmdb(lmdb)
    return np.hstack([labels[:, None], images.reshape(len(images), -1)])


def test_exact_images_arrive_byte_by_byte(tmp_path, shared):
    manifest = make(tmp_path / "out", shared / "data" / "cifar10-lossless-head.tar.xz", "--allow-short")
    exact = exact_records(shared)
    assert np.array_equal(records(tmp_path / "out" / "test_lmdb"), exact["test_batch.bin"])
    train = np.concatenate([exact[name] for name in BATCHES])
    written = records(tmp_path / "out" / "train_lmdb").astype(np.uint8)
    assert not np.array_equal(written, train)  # in another order, but the same records
    assert Counter(row.tobytes() for row in written) == Counter(row.tobytes() for row in train)
    assert {Path(name).name: count for name, count in manifest["short"].items()} == {
        name: len(rows) for name, rows in exact.items()
    }


def test_images_as_jpeg_files_are_those_of_the_exact_records(tmp_path, shared):
    # Some files of every class, the first in the official order, for the sake of time.
    with tarfile.open(shared / "data" / "cifar10-jpeg.tar.xz", "r|xz") as archive:
        for member in archive:
            if member.name.endswith(".jpg") and int(Path(member.name).stem) <= 12:
                archive.extract(member, tmp_path / "files")
    options = ("--limit-train", "10", "--limit-test", "5")
    classes = make(tmp_path / "out", tmp_path / "files", *options)["classes"]
    assert (classes[0], classes[9]) == ("airplane", "truck")

    exact = exact_records(shared)
    for lmdb, rows, count in (
        ("train_lmdb", exact["data_batch_1.bin"], 100),
        ("test_lmdb", exact["test_batch.bin"], 50),
    ):
        written = records(tmp_path / "out" / lmdb)
        assert np.bincount(written[:, 0].astype(int)).tolist() == [count // 10] * 10
        # In grey levels: JPEG changes a picture by a few, another picture is some fifty away.
        difference = np.stack([np.abs(row[1:] - rows[:, 1:]).mean(axis=1) for row in written])
        nearest = difference.argmin(axis=1)
        assert len(set(nearest)) == count
        assert np.array_equal(rows[nearest, 0], written[:, 0])
        assert difference.min(axis=1).max() < 15 < np.sort(difference, axis=1)[:, 1].min()
