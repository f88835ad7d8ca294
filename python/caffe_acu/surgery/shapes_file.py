"""Shapes of layers as a small file that people read, edit and compare: text, CSV or JSON.

Numbers have as few digits as tell one single-precision value from the next, so that what is read is what was written,
to the bit.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from caffe_acu import __version__
from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.errors import UserError, naming
from caffe_acu.net_param import read_bytes
from caffe_acu.surgery.distance import FARTHEST
from caffe_acu.surgery.shapes import Shape
from caffe_acu.surgery.words import quoted, words_of

FORMS = (".txt", ".csv", ".json")
_COLUMNS = ("layer", "type", "set", "synapse", "x", "y")
_CSV_HEAD = (*_COLUMNS[:4], "x_pixels", "y_pixels")
_DIGITS = 14  # of a number, with its sign, point and exponent
_UNIT = "pixels of the layer's input, x to the right, y down, from the base point of the convolution"


def format_shapes(shapes: Sequence[Shape], form: str, origin: str) -> str:
    """The content of a file; ``form`` is one of FORMS, ``origin`` tells where the shapes are from, which CSV does not.

    Doubles that are no single-precision value keep all their digits.
    """
    return {".txt": _as_text, ".csv": _as_csv, ".json": _as_json}[form](shapes, origin)


def read_shapes(path: Path) -> list[Shape]:
    """The shapes in a file that :func:`format_shapes` made, whatever has been edited since.

    UserError, with the line where there is one, for what is no such file, numbers that are not finite or out of all
    proportion, and synapses that are missing or stand there twice.
    """
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: a binary file; shapes as {path.suffix[1:]} were expected") from error
    shapes = {".txt": _from_text, ".csv": _from_csv, ".json": _from_json}[path.suffix](text, path)
    if not shapes:
        raise UserError(f"{path}: no positions in it; `caffe-acu positions export` writes such files")
    return shapes


class _Row(NamedTuple):
    line: int
    layer: str
    type: str
    set: int
    synapse: int
    x: float
    y: float


def _rows(shapes: Sequence[Shape]) -> Iterator[tuple[str, str, int, int, float, float]]:
    for shape in shapes:
        for (s, k), x in np.ndenumerate(shape.x):
            yield shape.layer, shape.type, s, k, _shortest(x), _shortest(shape.y[s, k])


def _shortest(value: float) -> float:
    """The number with the fewest digits that becomes this one in single precision; itself, if none does."""
    single = np.float32(value)
    return float(str(single)) if float(single) == value else float(value)


def _made_by() -> str:
    return f"made by `caffe-acu positions export`, {__version__}"


def _as_text(shapes: Sequence[Shape], origin: str) -> str:
    table = [[f"# {_COLUMNS[0]}", *_COLUMNS[1:]]]
    table += [[quoted(name), kind, *map(str, rest)] for name, kind, *rest in _rows(shapes)]
    # Columns of numbers are as wide in every file, so that two files differ where numbers do.
    least = (0, 0, 3, 7, _DIGITS, _DIGITS)
    widths = [max(w, *map(len, column)) for w, column in zip(least, zip(*table, strict=True), strict=True)]
    aligned = [[f"{word:{'<>'[i > 1]}{widths[i]}}" for i, word in enumerate(words)] for words in table]
    head = [f"# Where synapses are, in {_UNIT};", f"# of {origin}, {_made_by()}"]
    return "\n".join([*head, *map("  ".join, aligned)]) + "\n"


def _as_csv(shapes: Sequence[Shape], _: str) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_CSV_HEAD, *_rows(shapes)])
    return text.getvalue()


def _as_json(shapes: Sequence[Shape], origin: str) -> str:
    """A line for each axis of each position set, so that tools which compare lines have something to show."""

    def axis(values: np.ndarray) -> str:
        return ",\n     ".join(json.dumps([_shortest(value) for value in row]) for row in values)

    layers = (
        f'  {{"layer": {json.dumps(shape.layer)}, "type": {json.dumps(shape.type)},\n'
        f'   "x": [\n     {axis(shape.x)}],\n   "y": [\n     {axis(shape.y)}]}}'
        for shape in shapes
    )
    head = "".join(
        f'"{key}": {json.dumps(text)},\n' for key, text in (("unit", _UNIT), ("of", origin), ("made_by", _made_by()))
    )
    return f'{{{head}"layers": [\n' + ",\n".join(layers) + "\n]}\n"


def _from_text(text: str, path: Path) -> list[Shape]:
    rows = []
    for line, content in enumerate(text.split("\n"), 1):
        with naming(f"{path}, line {line}"):
            if words := words_of(content):
                rows.append(_row(words, line))
    return _assembled(rows, path)


def _from_csv(text: str, path: Path) -> list[Shape]:
    reader = csv.reader(io.StringIO(text), strict=True)
    rows = []
    try:
        for words in reader:
            with naming(f"{path}, line {reader.line_num}"):
                if reader.line_num > 1 and words:
                    rows.append(_row(words, reader.line_num))
                elif words != list(_CSV_HEAD):
                    raise UserError(f"{','.join(_CSV_HEAD)} was expected there, and one synapse in each line after it")
    except csv.Error as error:
        raise UserError(f"{path}, line {reader.line_num}: {error}") from error
    return _assembled(rows, path)


def _row(words: Sequence[str], line: int) -> _Row:
    if len(words) != len(_COLUMNS):
        raise UserError(f"{len(words)} word(s); {len(_COLUMNS)} were expected: {', '.join(_COLUMNS)}")
    name, kind, *places = words
    _require_type(kind)
    index, synapse = (_index(word, what) for word, what in zip(places[:2], _COLUMNS[2:4], strict=True))
    x, y = (_coordinate(word, what) for word, what in zip(places[2:], _COLUMNS[4:], strict=True))
    return _Row(line, name, kind, index, synapse, x, y)


def _require_type(kind: object) -> None:
    if kind not in ACTIVE_TYPES:
        raise UserError(f"type {kind!r}; {', '.join(ACTIVE_TYPES)} have positions")


def _index(word: str, what: str) -> int:
    if not (word.isascii() and word.isdigit()):
        raise UserError(f"{what} is {word!r}; they are counted from 0")
    return int(word)


def _coordinate(value: object, what: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (ValueError, TypeError, OverflowError):
        raise UserError(f"{what} is {value!r}; a number of pixels was expected") from None
    if not abs(number) <= FARTHEST:  # NaN included
        raise UserError(f"{what} is {value}; a finite position of at most {FARTHEST} pixels was expected")
    return number


def _assembled(rows: Iterable[_Row], path: Path) -> list[Shape]:
    layers: dict[str, dict[tuple[int, int], _Row]] = {}
    for row in rows:
        known = layers.setdefault(row.layer, {})
        before = known.setdefault((row.set, row.synapse), row)
        first = next(iter(known.values()))
        with naming(f"{path}, line {row.line}"):
            if before is not row:
                raise UserError(f"synapse {row.synapse} of set {row.set} of {row.layer!r} is in line {before.line} too")
            if first.type != row.type:
                raise UserError(f"layer {row.layer!r} is of type {row.type}, but {first.type} in line {first.line}")
    return [_shape(name, found, path) for name, found in layers.items()]


def _shape(name: str, rows: dict[tuple[int, int], _Row], path: Path) -> Shape:
    sets, synapses = (1 + max(place[axis] for place in rows) for axis in (0, 1))
    if len(rows) < sets * synapses:
        s, k = next((s, k) for s in range(sets) for k in range(synapses) if (s, k) not in rows)
        raise UserError(
            f"{path}: layer {name!r}: synapse {k} of set {s} is missing, of {sets} set(s) of {synapses} synapses"
        )
    ordered = [rows[place] for place in sorted(rows)]
    x, y = (np.array(values).reshape(sets, synapses) for values in ([r.x for r in ordered], [r.y for r in ordered]))
    return Shape(name, ordered[0].type, x, y)


def _from_json(text: str, path: Path) -> list[Shape]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: no JSON: {error}") from error
    layers = content.get("layers") if isinstance(content, dict) else None
    if not isinstance(layers, list):
        raise UserError(f'{path}: an object with a list of "layers" was expected')
    shapes = []
    for i, layer in enumerate(layers):
        with naming(f"{path}: layer {i}, counted from 0"):
            shapes.append(_shape_of(layer))
    names = [shape.layer for shape in shapes]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path}: two layers are called {name!r}")
    return shapes


def _shape_of(layer: Any) -> Shape:
    if not isinstance(layer, dict) or not isinstance(layer.get("layer"), str):
        raise UserError('an object with "layer", its name, "type", "x" and "y" was expected')
    with naming(repr(layer["layer"])):
        _require_type(layer.get("type"))
        x, y = (_axis(layer.get(axis), axis) for axis in ("x", "y"))
        if x.shape != y.shape:
            raise UserError("x is of {} set(s) of {} synapses, y of {} of {}".format(*x.shape, *y.shape))
    return Shape(layer["layer"], layer["type"], x, y)


def _axis(values: Any, axis: str) -> np.ndarray:
    is_table = isinstance(values, list) and values and all(isinstance(row, list) and row for row in values)
    if not is_table or len({len(row) for row in values}) > 1:
        raise UserError(f'"{axis}": a list for each position set, of as many numbers each, was expected')
    return np.array([[_coordinate(value, f"{axis} of synapse {k} of set {s}") for k, value in enumerate(row)]
                     for s, row in enumerate(values)])  # fmt: skip
