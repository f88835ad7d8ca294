"""Places365-Standard: ``data_large`` or ``data_256`` with the official listings.

A training image is called by its path, "/a/airfield/00000001.jpg 0" in places365_train_standard.txt, a
validation image by its name, "Places365_val_00000001.jpg 165" in places365_val.txt.
"""

from collections.abc import Sequence
from pathlib import Path

from caffe_acu.data.pictures.file_list import FileList, Files, printable
from caffe_acu.data.pictures.plan import (
    LeftOut,
    Official,
    Plan,
    require_both_splits,
    require_complete,
    without_repeats,
)
from caffe_acu.data.pictures.search import Found, search
from caffe_acu.errors import UserError

OFFICIAL = Official(classes=365, train=1_803_460, test=36_500)
_TRAIN_LIST, _VAL_LIST, _CATEGORIES = "places365_train_standard.txt", "places365_val.txt", "categories_places365.txt"
_TRAIN_FOLDERS = (b"data_large", b"data_256")
_VAL_FOLDERS = (b"val_large", b"val_256")


def plan_places(sources: Sequence[Path], allow_short: bool = False) -> Plan:
    """Both splits in the order of the listings; classes as categories_places365.txt numbers them.

    Without that file a class is called by the folder of its training images. A listed image that is not there
    is left out with its reason. Raises UserError for a source without listings, with several trees, or with
    fewer images than the official set unless ``allow_short``.
    """
    found = search(sources)
    train_list, val_list = (_listing(found, name) for name in (_TRAIN_LIST, _VAL_LIST))
    classes = _classes(found, train_list)
    lists, left_out, roots = [], [], []
    for split, listing, folders in (("train", train_list, _TRAIN_FOLDERS), ("val", val_list, _VAL_FOLDERS)):
        root = _root(found, folders, split)
        files, problems = _match(found.pictures, root, split, listing, len(classes))
        lists.append(files)
        left_out += problems
        roots.append(printable(root))
    ignored = found.ignored + len(found.pictures) - sum(map(len, lists))
    form = f"{' and '.join(roots)}, official listings"
    plan = Plan(lists[0], lists[1], "val", classes, form, tuple(left_out), ignored)
    require_both_splits(plan, found.where)
    require_complete(plan, OFFICIAL, found.where, allow_short)
    return plan


class _Listing:
    """Lines "name label" of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names: list[bytes] = []
        self.labels: list[int] = []
        try:
            contents = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}): check its permissions") from error
        for number, line in enumerate(contents.splitlines(), 1):
            name, _, label = line.strip().rpartition(b" ")
            if not line.strip():
                continue
            if not name or not label.isdigit():
                raise UserError(f'{path}: line {number} is not "<image> <label>": download the listing again')
            self.names.append(name.strip().removeprefix(b"/"))
            self.labels.append(int(label))


def _listing(found: Found, name: str) -> _Listing:
    paths = found.others_named(name)
    if not paths:
        raise UserError(
            f"{found.where}: holds no {name}, which says what the images show: put the official listings there "
            "(filelist_places365-standard.tar, unpacked)"
        )
    if len(paths) > 1:
        raise UserError(f"{paths[0]} and {paths[1]}: two listings of the same name: give --source one of them")
    return _Listing(paths[0])


def _classes(found: Found, train: _Listing) -> tuple[str, ...]:
    paths = found.others_named(_CATEGORIES)
    names: dict[int, str] = {}
    if paths:
        categories = _Listing(paths[0])
        for name, label in zip(categories.names, categories.labels, strict=True):
            names[label] = printable(name)
    for name, label in zip(train.names, train.labels, strict=True):
        folder = printable(name.rpartition(b"/")[0])
        if names.setdefault(label, folder) != folder:
            raise UserError(f"{train.path}: label {label} is of '{names[label]}' and of '{folder}': download it again")
    if sorted(names) != list(range(len(names))):
        raise UserError(f"{train.path}: its labels are not 0 to {len(names) - 1}, each used: download it again")
    # "a/airfield" -> "airfield": the first letter only sorts the folders.
    return tuple(names[label].partition("/")[2] or names[label] for label in range(len(names)))


def _match(files: Files, root: bytes, split: str, listing: _Listing, classes: int) -> tuple[FileList, list[LeftOut]]:
    places = {name[len(root) :]: index for index, name in enumerate(files.names) if name.startswith(root)}
    chosen, labels, problems = [], [], []
    for name, label in zip(listing.names, listing.labels, strict=True):
        if label >= classes:
            raise UserError(f"{listing.path}: {printable(name)} has label {label}, but there are {classes} classes")
        if name in places:
            chosen.append(places[name])
            labels.append(label)
        else:
            problems.append(LeftOut(split, printable(name), f"listed in {listing.path.name}, but not there"))
    chosen, labels, repeated = without_repeats(split, files, chosen, labels)
    return FileList.of(files, chosen, labels, root), problems + repeated


def _root(found: Found, folders: Sequence[bytes], split: str) -> bytes:
    roots = set()
    for name in found.pictures.names:
        parts = name.split(b"/")
        for folder in folders:
            if folder in parts[:-1]:
                roots.add(b"/".join(parts[: parts.index(folder) + 1]) + b"/")
    if not roots:
        names = " or ".join(map(printable, folders))
        raise UserError(f"{found.where}: holds no {names} with the {split} images: check --source")
    if len(roots) > 1:
        listing = " and ".join(map(printable, sorted(roots)))
        raise UserError(f"{found.where}: holds the {split} images more than once, in {listing}: give --source one")
    return roots.pop()
