"""Which files make a data set, in which order and with which labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caffe_acu.data.pictures.file_list import FileList, Files, printable
from caffe_acu.data.pictures.options import PictureOptions
from caffe_acu.errors import UserError


class LeftOut(NamedTuple):
    """A file that is not in the data set, or is there although it is damaged, and why."""

    split: str
    name: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Two splits; labels index ``classes``."""

    train: FileList
    test: FileList
    test_name: str  # 'val' or 'test', as the data set calls it
    classes: tuple[str, ...]
    form: str  # what was found, in words
    left_out: tuple[LeftOut, ...] = ()
    ignored: int = 0  # files that are no pictures of a split

    def splits(self) -> dict[str, FileList]:
        return {"train": self.train, self.test_name: self.test}

    def arranged(self, options: PictureOptions) -> "Plan":
        """With the limits applied, and the training files in the random order of the seed."""
        train = self.train.first_per_class(options.limit_train)
        order = np.random.default_rng(options.seed).permutation(len(train))
        return replace(self, train=train.take(order), test=self.test.first_per_class(options.limit_test))


class Official(NamedTuple):
    """What the official data set has."""

    classes: int
    train: int
    test: int


def require_complete(plan: Plan, official: Official, where: str, allow_short: bool) -> None:
    """UserError if ``plan`` has fewer classes or files than the official set and that was not allowed.

    A class that got lost in unpacking would shift the labels of all that follow.
    """
    if allow_short:
        return
    found = Official(len(plan.classes), len(plan.train), len(plan.test))
    for what, count, wanted in zip(("classes", "training images", "validation images"), found, official, strict=True):
        if count != wanted:
            raise UserError(
                f"{where}: {count:,} {what}, where the official set has {wanted:,}: unpack or download it again, or "
                "take what is there with --allow-short"
            )


def require_both_splits(plan: Plan, where: str) -> None:
    for name, files in plan.splits().items():
        if len(files) == 0:
            raise UserError(f"{where}: no images for {name} ({plan.form}): a data set needs both splits")


def without_repeats(
    split: str, files: Files, chosen: Sequence[int], labels: Sequence[int]
) -> tuple[list[int], list[int], list[LeftOut]]:
    """The first of each name, and what else had the same name."""
    first: dict[bytes, int] = {}
    kept: list[int] = []
    kept_labels: list[int] = []
    left_out = []
    for index, label in zip(chosen, labels, strict=True):
        name = files.names[index]
        if name in first:
            other = "the same label" if first[name] == label else f"another label, {first[name]} instead of {label}"
            left_out.append(LeftOut(split, printable(name), f"a name that was there before with {other}"))
            continue
        first[name] = label
        kept.append(index)
        kept_labels.append(label)
    return kept, kept_labels, left_out


def key_of(class_name: str) -> str:
    """The word by which folders and listings call a class."""
    return class_name.split()[0]


def read_classes(path: Path, key: Callable[[str], str] = key_of) -> tuple[str, ...]:
    """The lines of a class file, e.g. "n01440764 tench, Tinca tinca"; ``key`` of one is what its folder is called.

    Raises UserError if it cannot be read, is empty or has a class twice.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a class file ({error}): check --classes") from error
    classes = tuple(line for line in lines if line)
    keys = [key(name) for name in classes]
    repeated = {key for key in keys if keys.count(key) > 1}
    if not classes or repeated:
        what = f"names {sorted(repeated)[0]} twice" if repeated else "is empty"
        raise UserError(f"{path}: {what}: a class file has one class in a line")
    return classes


def labels_by_key(classes: Sequence[str]) -> dict[str, int]:
    return {key_of(name): label for label, name in enumerate(classes)}
