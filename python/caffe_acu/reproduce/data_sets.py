"""The data sets of a table's networks: where they are, and whether they are what the networks are to be trained on."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from caffe_acu.data.image_tree import DESCRIPTION as IMAGE_TREE
from caffe_acu.data.layout import read_manifest
from caffe_acu.data.options import DEFAULT_PREPROCESSING
from caffe_acu.data.output_folder import MANIFEST
from caffe_acu.errors import UserError
from caffe_acu.nets.builder import DataSource
from caffe_acu.nets.datasets import DataSet


def data_name(data: DataSet) -> str:
    """What ``--data`` calls it, as its folder below ``data/``: "cifar10"."""
    return Path(data.source.train_lmdb).parts[1]


def data_folder(data: DataSet, chosen: Mapping[str, Path]) -> Path:
    """The folder that was chosen for it by name, else the one that its networks name."""
    return chosen.get(data_name(data), Path(data.source.train_lmdb).parent)


@dataclass(frozen=True)
class FoundData:
    """A data set that is there, and is the right one, whole or not."""

    folder: Path  # as it was given
    images: tuple[int, int]  # to train and to test
    official: bool  # not from files of single images, which are often lossy JPEG
    source: DataSource  # with paths as seen from the run's folder

    def test_images(self, limit: int | None) -> int:
        """How many are tested on."""
        return min(self.images[1], limit or self.images[1])

    def difference(self, data: DataSet, limit: int | None) -> str:
        """What makes a result not comparable with the paper's: "500 of 50,000 images to train"; "" if nothing does."""
        used = (self.images[0], self.test_images(limit))
        parts = [
            f"{count:,} of {whole:,} images to {purpose}"
            for count, whole, purpose in zip(used, data.images, ("train", "test"), strict=True)
            if count != whole
        ]
        return ", ".join(parts if self.official else [*parts, "data from image files"])


def is_there(folder: Path) -> bool:
    return (folder / MANIFEST).is_file()


def missing(data: DataSet, folder: Path) -> str:
    """One line that says how to make it."""
    return f"{folder}: no data set; make it with: {data.command}, or name its folder: --data {data_name(data)}=<folder>"


def find_data(data: DataSet, folder: Path, run_folder: Path) -> FoundData:
    """The data set in ``folder``, its paths as seen from ``run_folder``.

    UserError if it is not there, or has other classes, another preprocessing, or no mean image where one is needed.
    """
    if not is_there(folder):
        raise UserError(missing(data, folder))
    manifest = read_manifest(folder)
    classes, wanted = len(manifest["classes"]), _preprocessing(data)
    if classes != data.classes:
        raise UserError(
            f"{folder}: has {classes} classes, {data.name} has {data.classes}; make it with: {data.command}"
        )
    made = manifest.get("options", {}).get("preprocess")
    if wanted is not None and made != wanted:
        raise UserError(f"{folder}: preprocessed by {made}, not {wanted}; make it with: {data.command}")
    names = {"train_lmdb": data.source.train_lmdb, "test_lmdb": data.source.test_lmdb}
    if data.source.mean_file:
        names["mean_file"] = data.source.mean_file
    for path in (folder / Path(name).name for name in names.values()):
        if not path.exists():
            raise UserError(f"{path}: is not there; make the data set with: {data.command}")
    # Relative, so that data and results together may be moved; of real paths, so that links do not matter.
    here = {name: _relative(folder / Path(path).name, run_folder) for name, path in names.items()}
    images = tuple(manifest["splits"][split]["images"] for split in ("train", _test_split(data)))
    official = not (data.name.startswith("CIFAR") and IMAGE_TREE in manifest["source"])
    return FoundData(folder, images, official, replace(data.source, **here))


def _preprocessing(data: DataSet) -> str | None:
    """What the networks want, of the data sets that have a choice."""
    words = data.command.split()
    if "--preprocess" in words:
        return words[words.index("--preprocess") + 1]
    return DEFAULT_PREPROCESSING if data.name.startswith("CIFAR") else None


def _test_split(data: DataSet) -> str:
    return Path(data.source.test_lmdb).name.removesuffix("_lmdb")


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.resolve(), folder.resolve())
