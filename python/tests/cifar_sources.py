"""Small sources of images in every form that a reader takes, made for tests."""

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

BATCHES = (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")


def batch(number: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """uint8 (count, 3072) pixels and labels of the batch file of that number."""
    rng = np.random.default_rng(number)
    return rng.integers(0, 256, (count, 3072), np.uint8), np.arange(count) % 10


def python_batches(folder: Path, count: int, names=BATCHES) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        if name in names:
            pixels, labels = batch(number, count)
            contents = {b"data": pixels, b"labels": labels.tolist(), b"batch_label": name.encode()}
            (folder / name).write_bytes(pickle.dumps(contents, protocol=2))


def binary_batches(folder: Path, count: int) -> None:
    folder.mkdir(parents=True)
    for number, name in enumerate(BATCHES):
        pixels, labels = batch(number, count)
        records = np.hstack([labels[:, None].astype(np.uint8), pixels])
        (folder / f"{name}.bin").write_bytes(records.tobytes())


# Not the official names, so that it shows whether they come from the source.
FINE_NAMES = tuple(f"fine_{i}" for i in range(100))
COARSE_NAMES = tuple(f"coarse_{i}" for i in range(20))


def cifar100_batch(name: str, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uint8 (count, 3072) pixels, coarse and fine labels (unrelated, unlike the real ones) of 'train' or 'test'."""
    number = ("train", "test").index(name)
    pixels = np.random.default_rng(100 + number).integers(0, 256, (count, 3072), np.uint8)
    index = np.arange(count)
    return pixels, (3 * index + number) % 20, (7 * index + number) % 100


def cifar100_python(folder: Path, train: int, test: int) -> None:
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("test", test)):
        pixels, coarse, fine = cifar100_batch(name, count)
        contents = {b"data": pixels, b"coarse_labels": coarse.tolist(), b"fine_labels": fine.tolist()}
        (folder / name).write_bytes(pickle.dumps(contents, protocol=2))
    names = {b"fine_label_names": FINE_NAMES, b"coarse_label_names": COARSE_NAMES}
    meta = {key: [name.encode() for name in values] for key, values in names.items()}
    (folder / "meta").write_bytes(pickle.dumps(meta, protocol=2))


def cifar100_binary(folder: Path, train: int, test: int) -> None:
    folder.mkdir(parents=True)
    for name, count in (("train", train), ("test", test)):
        pixels, coarse, fine = cifar100_batch(name, count)
        records = np.hstack([coarse[:, None].astype(np.uint8), fine[:, None].astype(np.uint8), pixels])
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    (folder / "fine_label_names.txt").write_text("\n".join(FINE_NAMES) + "\n")
    (folder / "coarse_label_names.txt").write_text("\n".join(COARSE_NAMES) + "\n\n")


def image_tree(folder: Path, per_class: int, classes=("bird", "cat")) -> np.ndarray:
    """PNG files; returns the training images uint8 (N, 3, 8, 8), by class and name."""
    rng = np.random.default_rng(3)
    train = []
    for split in ("train", "test"):
        for name in classes:
            (folder / split / name).mkdir(parents=True)
            for i in range(per_class):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{i:03d}.png")
                if split == "train":
                    train.append(pixels.transpose(2, 0, 1))
    return np.stack(train)


def tar(folder: Path, mode: str, suffix: str) -> Path:
    path = folder.with_name(folder.name + suffix)
    with tarfile.open(path, mode) as archive:
        archive.add(folder, arcname=folder.name)
    return path


def hostile_pickle() -> bytes:
    class Evil:
        def __reduce__(self):
            return (exec, ("import pathlib; pathlib.Path('hacked').touch()",))

    buffer = io.BytesIO()
    pickle.dump(Evil(), buffer)
    return buffer.getvalue()
