"""A user's own pictures: ``train/<class>/...`` and ``val/<class>/...``, or ``<class>/...`` to be split."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from caffe_acu.data.pictures.file_list import FileList, Files, printable
from caffe_acu.data.pictures.plan import (
    LeftOut,
    Plan,
    key_of,
    read_classes,
    require_both_splits,
    without_repeats,
)
from caffe_acu.data.pictures.search import Found, search
from caffe_acu.errors import UserError

_TRAIN = (b"train",)
_TEST = (b"val", b"validation", b"test")  # where there are several, the first of these is taken
_SPLIT_STREAM = 1  # entropy beside the seed, so that splitting does not repeat the shuffle's numbers


def plan_class_folders(
    sources: Sequence[Path], class_file: Path | None = None, test_fraction: float | None = None, seed: int = 0
) -> Plan:
    """Every picture below a class's folder, whatever the depth; labels count classes in the order of their names.

    With ``test_fraction`` the class folders are those of the source itself, and that part of every class, drawn
    by ``seed``, is for testing. ``class_file`` fixes the classes and their order. Raises UserError for a source
    that is not laid out like this, or a class that only one split has.
    """
    found = search(sources)
    if test_fraction is not None:
        return _split_at_random(found, class_file, test_fraction, seed)
    for outermost in (1, 0):  # what the source itself is called counts last: it may be "test" for any reason
        roots = _split_roots(found.pictures.names, outermost)
        train, test = _pick(roots, _TRAIN), _pick(roots, _TEST)
        if train is not None and test is not None:
            break
    else:
        raise UserError(
            f"{found.where}: holds no train/<class>/* together with val/<class>/* (or test/<class>/*): check --source, "
            "or have a folder of classes split with --test-fraction"
        )
    groups = [_by_class(found.pictures, root) for root in (train, test)]
    classes = _classes(groups, class_file, found.where)
    test_name = "test" if test.endswith(b"test/") else "val"
    lists, left_out = [], []
    for name, root, group in zip(("train", test_name), (train, test), groups, strict=True):
        files, repeated = _listed(name, found.pictures, group, classes, root)
        lists.append(files)
        left_out += repeated
    used = sum(map(len, lists)) + len(left_out)
    ignored = found.ignored + len(found.pictures) - used
    plan = Plan(lists[0], lists[1], test_name, classes, "a folder per class", tuple(left_out), ignored)
    require_both_splits(plan, found.where)
    return plan


def _split_roots(names: Sequence[bytes], outermost: int) -> set[bytes]:
    """Folders, with a slash at the end, that are called like a split, from the depth ``outermost`` on.

    Of those inside each other the outer one is meant.
    """
    roots: set[bytes] = set()
    for folder in {name.rpartition(b"/")[0] for name in names}:
        parts = folder.split(b"/")
        for depth, part in enumerate(parts):
            # The last part is a class's name, even where a class is called like a split.
            if part in (*_TRAIN, *_TEST) and outermost <= depth < len(parts) - 1:
                roots.add(b"/".join(parts[: depth + 1]) + b"/")
                break
    return roots


def _pick(roots: set[bytes], names: Sequence[bytes]) -> bytes | None:
    for name in names:
        matching = sorted(root for root in roots if root.rstrip(b"/").rpartition(b"/")[2] == name)
        if len(matching) > 1:
            listing = " and ".join(map(printable, matching))
            raise UserError(f"{listing}: two folders of the same split: give --source one data set")
        if matching:
            return matching[0]
    return None


def _by_class(files: Files, root: bytes) -> dict[str, list[int]]:
    """Indices of the pictures below ``root``, sorted by name, for each first folder."""
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(files.names):
        if name.startswith(root):
            folder, slash, _ = name[len(root) :].partition(b"/")
            if slash:
                groups.setdefault(printable(folder), []).append(index)
    for indices in groups.values():
        indices.sort(key=files.names.__getitem__)
    return groups


def _classes(groups: Sequence[dict[str, list[int]]], class_file: Path | None, where: str) -> tuple[str, ...]:
    if class_file is not None:
        return read_classes(class_file, lambda name: _folder_of(name, groups[0]))
    if len(groups) == 2:
        for name in sorted(groups[0].keys() ^ groups[1].keys()):
            has, lacks = ("training", "test") if name in groups[0] else ("test", "training")
            raise UserError(
                f"{where}: class '{name}' has {has} images but no {lacks} images: both need every class, or name "
                "the wanted ones in a file for --classes"
            )
    return tuple(sorted(groups[0]))


def _folder_of(class_name: str, groups: dict[str, list[int]]) -> str:
    """A class file may go on after the folder's name, which may have spaces: "n01440764 tench, Tinca tinca"."""
    return class_name if class_name in groups else key_of(class_name)


def _listed(
    split: str, files: Files, groups: dict[str, list[int]], classes: Sequence[str], root: bytes
) -> tuple[FileList, list[LeftOut]]:
    chosen: list[int] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        folder = _folder_of(name, groups)
        if folder not in groups:
            raise UserError(f"{printable(root)}: class '{folder}' of --classes has no folder of images there")
        chosen += groups[folder]
        labels += [label] * len(groups[folder])
    chosen, labels, repeated = without_repeats(split, files, chosen, labels)
    return FileList.of(files, chosen, labels, root), repeated


def _split_at_random(found: Found, class_file: Path | None, fraction: float, seed: int) -> Plan:
    if not 0 < fraction < 1:
        raise UserError(f"--test-fraction is {fraction:g}: it takes a number between 0 and 1")
    files = found.pictures
    root = _common_folder(files.names)
    groups = _by_class(files, root)
    classes = _classes([groups], class_file, found.where)
    everything, repeated = _listed("train", files, groups, classes, root)
    random = np.random.default_rng([seed, _SPLIT_STREAM])
    for_test = np.zeros(len(everything), bool)
    for label, name in enumerate(classes):
        indices = np.flatnonzero(everything.labels == label)
        count = round(fraction * len(indices))
        if not 0 < count < len(indices):
            raise UserError(
                f"{found.where}: class '{name}' has {len(indices)} images, of which --test-fraction {fraction:g} makes "
                f"{count} for testing: both splits need one at least"
            )
        for_test[random.permutation(indices)[:count]] = True
    train, test = (everything.take(np.flatnonzero(part)) for part in (~for_test, for_test))
    ignored = found.ignored + len(files) - len(everything) - len(repeated)
    form = f"a folder per class, {fraction:g} of each for testing"
    plan = Plan(train, test, "test", classes, form, tuple(repeated), ignored)
    require_both_splits(plan, found.where)
    return plan


def _common_folder(names: Sequence[bytes]) -> bytes:
    """The folder that has the class folders, with a slash at the end; pictures above them do not count."""
    root = b""
    while True:
        below = [name[len(root) :].split(b"/", 2) for name in names if name.startswith(root)]
        folders = {parts[0] for parts in below if len(parts) > 1}
        if len(folders) != 1 or all(len(parts) < 3 for parts in below):
            return root
        root += folders.pop() + b"/"
