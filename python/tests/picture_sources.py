"""Small sources of photographs in every official layout, made for tests.

A picture is a smooth ramp whose mean colour is a function of its name, so that JPEG changes it little and a test can
tell which one it sees.
"""

import hashlib
import io
import os
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

SYNSETS = ("n01440764", "n01443537", "n02084071", "n15075141")
# As in the development kit, numbers do not follow the names of the synsets.
ILSVRC_IDS = {SYNSETS[0]: 3, SYNSETS[1]: 1, SYNSETS[2]: 4, SYNSETS[3]: 2}
PLACES = ("a/airfield", "a/apartment_building/outdoor", "z/zen_garden")


def pixels(name: str, width: int = 50, height: int = 38) -> np.ndarray:
    """uint8 (height, width, 3), R, G, B."""
    colour = np.frombuffer(hashlib.sha256(os.fsencode(name)).digest()[:3], np.uint8).astype(float) * 0.6 + 50
    x = np.linspace(-40, 40, width)[None, :, None] * [1, 1, -1]
    y = np.linspace(-20, 20, height)[:, None, None] * [1, -1, 1]
    return np.clip(colour + x + y, 0, 255).astype(np.uint8)


def encoded(image: np.ndarray | Image.Image, kind: str = "JPEG", **options) -> bytes:
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **({"quality": 95} if kind == "JPEG" else {}) | options)
    return stream.getvalue()


def picture(name: str, **size: int) -> bytes:
    return encoded(pixels(name, **size))


def write(path: Path, contents: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(contents)


def tar_of(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """A plain tar of files by name, which may repeat."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, contents in files:
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            tar.addfile(member, io.BytesIO(contents))
    return path


def synset_files(per_class: int, synset: str) -> dict[str, bytes]:
    return {f"{synset}_{i}.JPEG": picture(f"{synset}_{i}") for i in range(per_class)}


def val_names(count: int) -> dict[str, str]:
    """Validation image without suffix -> synset, each synset in turn but not in their order."""
    return {f"ILSVRC2012_val_{i + 1:08d}": SYNSETS[(3 * i + 1) % 4] for i in range(count)}


def imagenet_train(folder: Path, per_class: int) -> None:
    for synset in SYNSETS:
        for name, contents in synset_files(per_class, synset).items():
            write(folder / synset / name, contents)


def imagenet_train_tar(path: Path, per_class: int) -> Path:
    inner = []
    for synset in SYNSETS:
        one = tar_of(path.with_name(f"{synset}.tar"), synset_files(per_class, synset).items())
        inner.append((one.name, one.read_bytes()))
        one.unlink()
    return tar_of(path, inner)


def val_files(count: int) -> dict[str, bytes]:
    return {f"{name}.JPEG": picture(name) for name in val_names(count)}


def imagenet_val(folder: Path, count: int) -> None:
    for name, contents in val_files(count).items():
        write(folder / name, contents)


def meta_mat(path: Path) -> None:
    from scipy.io import savemat

    rows = [(ILSVRC_IDS[synset], synset, f"words of {synset}", 0) for synset in SYNSETS] + [(5, "n00001740", "all", 4)]
    kinds = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    path.parent.mkdir(parents=True, exist_ok=True)
    savemat(path, {"synsets": np.array(rows, dtype=kinds)[:, None]})


def ground_truth(count: int) -> str:
    return "".join(f"{ILSVRC_IDS[synset]}\n" for synset in val_names(count).values())


def devkit(folder: Path, count: int) -> None:
    """The unpacked development kit."""
    data = folder / "ILSVRC2012_devkit_t12" / "data"
    meta_mat(data / "meta.mat")
    (data / "ILSVRC2012_validation_ground_truth.txt").write_text(ground_truth(count))


def kaggle_labels(count: int) -> str:
    return "ImageId,PredictionString\n" + "".join(
        f"{name},{synset} 1 2 30 40 {synset} 5 6 7 8\n" for name, synset in val_names(count).items()
    )


def places(folder: Path, per_class: int, images: str = "data_256", vals: str = "val_256") -> None:
    """Images and official listings; three classes, twice as many validation images as classes."""
    train, val = [], []
    for label, name in enumerate(PLACES):
        for i in range(1, per_class + 1):
            path = f"{name}/{i:08d}.jpg"
            write(folder / images / path, picture(path, width=256, height=256))
            train.append(f"/{path} {label}\n")
    for i in range(2 * len(PLACES)):
        name = f"Places365_val_{i + 1:08d}.jpg"
        write(folder / vals / name, picture(name, width=256, height=256))
        val.append(f"{name} {(i * 2 + 1) % len(PLACES)}\n")
    (folder / "places365_train_standard.txt").write_text("".join(train))
    (folder / "places365_val.txt").write_text("".join(val))
    lines = (f"/{name} {label}\n" for label, name in enumerate(PLACES))
    (folder / "categories_places365.txt").write_text("".join(lines))


def class_tree(folder: Path, per_class: int, splits=("train", "val"), classes=("bird", "cat")) -> None:
    for split in splits:
        for name in classes:
            for i in range(per_class):
                write(folder / split / name / f"{i:03d}.jpg", picture(f"{split}/{name}/{i}"))


def devkit_archive(path: Path, count: int) -> Path:
    devkit(path.parent, count)
    folder = path.parent / "ILSVRC2012_devkit_t12"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, folder.name)
    shutil.rmtree(folder)
    return path


def centre(image: np.ndarray) -> np.ndarray:
    """The largest square in the middle of (H, W, 3)."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def shows(image: np.ndarray, name: str) -> bool:
    """Whether uint8 (H, W, 3), R, G, B, is the centre of ``pixels(name)``, by its mean colour."""
    return bool(np.abs(image.mean((0, 1)) - centre(pixels(name)).mean((0, 1))).max() < 3)
