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
