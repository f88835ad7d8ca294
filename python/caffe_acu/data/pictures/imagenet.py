"""ILSVRC 2012 in the layouts in which people have it: folders or tars, and five forms of validation labels."""

import re
from collections.abc import Sequence
from pathlib import Path

from caffe_acu.data.pictures.file_list import FileList, printable
from caffe_acu.data.pictures.imagenet_labels import (
    LABEL_FILES,
    WORD_FILES,
    most_trusted,
    read_val_labels,
    read_words,
)
from caffe_acu.data.pictures.plan import (
    Official,
    Plan,
    labels_by_key,
    read_classes,
    require_both_splits,
    require_complete,
    without_repeats,
)
from caffe_acu.data.pictures.search import Found, search
from caffe_acu.errors import UserError

OFFICIAL = Official(classes=1000, train=1_281_167, test=50_000)
_SYNSET = re.compile(rb"n\d{8}")
_VAL_NAME = re.compile(rb"ILSVRC2012_val_\d{8}\.\w+")
_TRAIN_FOLDERS = frozenset({b"train", b"ILSVRC2012_img_train"})
_VAL_FOLDERS = frozenset({b"val", b"validation", b"ILSVRC2012_img_val"})
_TEST_FOLDERS = frozenset({b"test", b"ILSVRC2012_img_test", b"ILSVRC2012_img_test_v10102019"})
_SPLIT_FOLDERS = _TRAIN_FOLDERS | _VAL_FOLDERS | _TEST_FOLDERS


class _Split:
    """Pictures found for one split, by the folder that holds them or their class folders."""

    def __init__(self) -> None:
        self.roots: dict[bytes, list[tuple[int, bytes | None]]] = {}  # root -> (index, synset or None)

    def add(self, root: bytes, index: int, synset: bytes | None) -> None:
        self.roots.setdefault(root, []).append((index, synset))

    def only(self, what: str, found: Found) -> tuple[bytes, list[tuple[int, bytes | None]]]:
        if not self.roots:
            hint = ""
            if found.compressed:
                hint = f"; {found.compressed[0]} is compressed: unpack it first"
            raise UserError(f"{found.where}: holds no {what}{hint}: check --source")
        if len(self.roots) > 1:
            listing = " and ".join(map(printable, sorted(self.roots)))
            raise UserError(f"{found.where}: holds {what} more than once, in {listing}: give --source one of them")
        return next(iter(self.roots.items()))


def plan_imagenet(
    sources: Sequence[Path],
    val_labels: Path | None = None,
    class_file: Path | None = None,
    allow_short: bool = False,
) -> Plan:
    """Training images by their synset's folder (or tar), validation images by folder or by a listing.

    Labels are synsets in the order of their names, 0 to 999, as Caffe's models have them; ``class_file`` fixes
    another choice or order, and leaves out the images of other synsets. Without it a source with other
    than 1,000 synsets, or with other than the official counts of images, is refused unless ``allow_short``.
    Raises UserError for a source that is not laid out like this.
    """
    found = search(sources)
    train, val = _sort_out(found)
    train_root, train_files = train.only("training images in folders or tars called n########", found)
    val_root, val_files = val.only("validation images", found)

    words = read_words(found.others_named(*WORD_FILES, *LABEL_FILES))
    synsets = sorted({printable(synset) for _, synset in train_files if synset is not None})
    if class_file is not None:
        classes = read_classes(class_file)
    else:
        classes = tuple(f"{synset} {words[synset]}" if synset in words else synset for synset in synsets)
    labels = labels_by_key(classes)

    train_chosen = sorted(
        (name, labels[key], index)
        for index, synset in train_files
        if synset is not None and (key := printable(synset)) in labels
        for name in (found.pictures.names[index],)
    )
    if all(synset is not None for _, synset in val_files):
        wanted = {index: printable(synset) for index, synset in val_files if synset is not None}
        described = "in a folder per class"
    else:
        # Numbers in a listing count all synsets by name, whatever a class file chooses of them.
        wanted, described = _labelled(found, val_files, val_labels, synsets)
    for synset in labels:
        if synset not in synsets:
            raise UserError(f"{found.where}: class '{synset}' of --classes has no training images there")
    if class_file is None:
        for index, synset in wanted.items():
            if synset not in labels:
                raise UserError(
                    f"{found.pictures.path(index)}: is of {synset}, of which there are no training images: unpack the "
                    "rest, or name the wanted synsets in a file for --classes"
                )
    val_chosen = sorted(
        (found.pictures.names[index], labels[synset], index) for index, synset in wanted.items() if synset in labels
    )
    lists, left_out = [], []
    for split, root, chosen in (("train", train_root, train_chosen), ("val", val_root, val_chosen)):
        kept, kept_labels, repeated = without_repeats(
            split, found.pictures, [index for _, _, index in chosen], [label for _, label, _ in chosen]
        )
        lists.append(FileList.of(found.pictures, kept, kept_labels, root))
        left_out += repeated
    ignored = found.ignored + len(found.pictures) - sum(map(len, lists)) - len(left_out)
    form = f"training images in {printable(train_root)}, validation images {described} in {printable(val_root)}"
    plan = Plan(lists[0], lists[1], "val", classes, form, tuple(left_out), ignored)
    require_both_splits(plan, found.where)
    if class_file is None:
        require_complete(plan, OFFICIAL, found.where, allow_short)
    return plan


def _sort_out(found: Found) -> tuple[_Split, _Split]:
    train, val = _Split(), _Split()
    for index, name in enumerate(found.pictures.names):
        folder, _, base = name.rpartition(b"/")
        parts = folder.split(b"/")
        # The innermost counts: the source itself may be called "test" for any reason.
        called = next((part for part in reversed(parts) if part in _SPLIT_FOLDERS), None)
        if called in _TEST_FOLDERS:
            continue
        is_val = called in _VAL_FOLDERS
        if _SYNSET.fullmatch(parts[-1]):
            root = b"".join(part + b"/" for part in parts[:-1])
            (val if is_val else train).add(root, index, parts[-1])
        elif is_val or _VAL_NAME.fullmatch(base):
            val.add(folder + b"/", index, None)
    return train, val


def _labelled(
    found: Found, files: list[tuple[int, bytes | None]], val_labels: Path | None, synsets: Sequence[str]
) -> tuple[dict[int, str], str]:
    """Picture -> synset, by the listing that is there or was named; and in words where labels are from."""
    candidates = found.others_named(*LABEL_FILES)
    if val_labels is None and not candidates:
        raise UserError(
            f"{found.where}: nothing says what the validation images show: put {', '.join(LABEL_FILES)} beside them "
            "or name a listing with --val-labels"
        )
    listing = val_labels or most_trusted(candidates)
    labels = read_val_labels(listing, synsets)
    wanted = {}
    for index, _ in files:
        stem = found.pictures.names[index].rpartition(b"/")[2].rpartition(b".")[0]
        if stem not in labels:
            raise UserError(f"{found.pictures.path(index)}: is not in the labels of {listing}: check --val-labels")
        wanted[index] = labels[stem]
    return wanted, f"labelled by {listing.name}"
