"""Labels of ImageNet's validation images, and the words for its synsets, in every form they come in."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from caffe_acu.data.archive import open_archive
from caffe_acu.errors import UserError

_GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
_META = "meta.mat"
_KIT = "ILSVRC2012_devkit_t12.tar.gz"
_KAGGLE = "LOC_val_solution.csv"
# In the order of trust where several are there; meta.mat alone says nothing of images.
LABEL_FILES = (_GROUND_TRUTH, _KIT, _KAGGLE, "val.txt", "val_labels.txt")
WORD_FILES = ("synset_words.txt", "LOC_synset_mapping.txt")
_SYNSET = re.compile(r"n\d{8}")
_CURE = "check --val-labels"


def most_trusted(candidates: Sequence[Path]) -> Path:
    return min(candidates, key=lambda path: LABEL_FILES.index(path.name))


def read_val_labels(path: Path, synsets: Sequence[str]) -> dict[bytes, str]:
    """Image name without its suffix -> synset.

    ``path`` may be the development kit (archive, or its ground truth beside meta.mat, which says which synset a
    number is), Kaggle's LOC_val_solution.csv, or lines "name label" with a synset or with the index of the
    synset in ``synsets``. Raises UserError, which names the file and line, for anything else.
    """
    if path.name.endswith(".tar.gz"):
        return _from_kit(path)
    text = _read(path)
    if path.name.endswith(".csv"):
        return _from_kaggle(path, text)
    lines = [(number, line.split()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if lines and all(len(line) == 1 for _, line in lines):
        meta = path.with_name(_META)
        if not meta.is_file():
            raise UserError(
                f"{path}: numbers its synsets in an order of its own, which {_META} of the development kit tells: put "
                f"{_META} beside it"
            )
        return _from_ground_truth(path, [line[0] for _, line in lines], _synsets_of_meta(str(meta), meta.read_bytes()))
    return _from_lines(path, lines, synsets)


def read_words(candidates: Sequence[Path]) -> dict[str, str]:
    """Synset -> words, e.g. "tench, Tinca tinca", from the first candidate that has them; else empty."""
    for path in candidates:
        if path.name in WORD_FILES:
            pairs = (line.split(maxsplit=1) for line in _read(path).splitlines())
            return {pair[0]: pair[1] for pair in pairs if len(pair) == 2 and _SYNSET.fullmatch(pair[0])}
    for path in candidates:
        meta = path.with_name(_META)
        if path.name == _GROUND_TRUTH and meta.is_file():
            return {synset: words for synset, words in _synsets_of_meta(str(meta), meta.read_bytes()).values()}
        if path.name == _KIT:
            return {synset: words for synset, words in _synsets_of_meta(f"{path}: {_META}", _kit(path)[_META]).values()}
    return {}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as labels ({error}): {_CURE}") from error


def _stem(name: str) -> bytes:
    base = name.rpartition("/")[2]
    return (base.rpartition(".")[0] or base).encode()


def _from_lines(path: Path, lines: Iterable[tuple[int, Sequence[str]]], synsets: Sequence[str]) -> dict[bytes, str]:
    """``lines`` are the numbers and the words of the lines of a file."""
    labels: dict[bytes, str] = {}
    for number, line in lines:
        where = f"{path}: line {number} ({' '.join(line)[:60]})"
        if len(line) != 2:
            raise UserError(f'{where}: is not "<image> <synset or number>": {_CURE}')
        name, label = line
        if label.isdecimal():
            if int(label) >= len(synsets):
                raise UserError(f"{where}: label {label} is none of 0 to {len(synsets) - 1}: {_CURE}")
            label = synsets[int(label)]
        elif not _SYNSET.fullmatch(label):
            raise UserError(f"{where}: {label} is neither a number nor a synset like n01440764: {_CURE}")
        if labels.setdefault(_stem(name), label) != label:
            raise UserError(f"{where}: had another label further up: {_CURE}")
    return labels


def _from_kaggle(path: Path, text: str) -> dict[bytes, str]:
    rows = csv.reader(io.StringIO(text))
    if next(rows, None) != ["ImageId", "PredictionString"]:
        raise UserError(f"{path}: does not begin with ImageId,PredictionString as {_KAGGLE} does: {_CURE}")
    # A prediction is a synset and a box, several times over where there are several objects of it.
    lines = ((rows.line_num, [part for column in row for part in column.split()[:1]]) for row in rows if row)
    return _from_lines(path, lines, ())


def _from_ground_truth(path: Path | str, numbers: Sequence[str], synsets: Mapping[int, Any]) -> dict[bytes, str]:
    labels = {}
    for image, number in enumerate(numbers, 1):
        if not number.isdecimal() or int(number) not in synsets:
            raise UserError(f"{path}: line {image}: '{number}' is no number of a synset in {_META}: {_CURE}")
        labels[b"ILSVRC2012_val_%08d" % image] = synsets[int(number)][0]
    return labels


def _from_kit(path: Path) -> dict[bytes, str]:
    files = _kit(path)
    synsets = _synsets_of_meta(f"{path}: {_META}", files[_META])
    return _from_ground_truth(f"{path}: {_GROUND_TRUTH}", files[_GROUND_TRUTH].decode("latin1").split(), synsets)


def _kit(path: Path) -> dict[str, bytes]:
    kit = open_archive(path)
    names = {name.rpartition("/")[2]: name for name in kit.names()}
    for name in (_META, _GROUND_TRUTH):
        if name not in names:
            raise UserError(f"{path}: holds no {name}, so it is not the development kit of tasks 1 and 2: {_CURE}")
    return {name.rpartition("/")[2]: contents for name, contents in kit.read((names[_META], names[_GROUND_TRUTH]))}


def _synsets_of_meta(what: str, contents: bytes) -> dict[int, tuple[str, str]]:
    """ILSVRC2012_ID -> (synset, words) of the 1,000 leaves; the inner nodes have IDs above theirs."""
    from scipy.io import loadmat  # half a second to import, and for this file alone

    try:
        table = loadmat(io.BytesIO(contents), squeeze_me=True)["synsets"]
        rows = zip(table["ILSVRC2012_ID"], table["WNID"], table["words"], table["num_children"], strict=True)
        return {int(number): (str(synset), str(words)) for number, synset, words, children in rows if not children}
    except Exception as error:  # whatever a damaged MATLAB file makes of SciPy
        raise UserError(f"{what}: not the table of synsets that the development kit has ({error})") from error
