"""The cells of a report's tables: their text, and how they are set."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

NOT_KNOWN = "–"
NOT_RUN = "not run"
_NUMBER = re.compile(r"[+−-]?\d[\d,.]*( ?[%MGk]| ?[±(].*)?")
_LONG = 40  # characters, above which a cell is set in several lines
_GAINS = ("row", "against", "data", "metric", "paper's gain", "our gain", "standard error", "significant", "remark")

Cell = tuple[str, str]  # text, CSS classes


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list]:
    """Columns and rows as cells. A column of numbers, and of what is missing among them, is set to the right."""
    texts = [[cell_text(value) for value in row] for row in rows]
    kinds = [_kind([row[index] for row in texts]) for index in range(len(columns))]
    return {
        "columns": list(zip(columns, kinds, strict=True)),
        "rows": [[_cell(*pair) for pair in zip(row, kinds, strict=True)] for row in texts],
    }


def gains(comparisons: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """The comparisons of rows, mostly of an ACU with its base, as a table."""
    return table(_GAINS, [_gain(comparison) for comparison in comparisons])


def cell_text(value: Any) -> str:
    """Strings as they are, numbers with at most six digits, a dash for what is not known."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_KNOWN
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _gain(comparison: Mapping[str, Any]) -> list[str]:
    return [
        comparison["acu"],
        comparison["base"],
        comparison["dataset"],
        comparison["metric"],
        _points(comparison["paper_gain"], "+"),
        NOT_RUN if comparison["our_gain"] is None else _points(comparison["our_gain"], "+"),
        _points(comparison["standard_error"], ""),
        {True: "yes", False: "no"}.get(comparison["significant"], NOT_KNOWN),
        comparison["remark"],
    ]


def _points(value: float | None, sign: str) -> str:
    return NOT_KNOWN if value is None or not math.isfinite(value) else f"{value:{sign}.2f}".replace("-", "−")


def _kind(texts: Sequence[str]) -> str:
    known = [text for text in texts if not _is_missing(text)]
    return "number" if known and all(map(_NUMBER.fullmatch, known)) else ""


def _cell(text: str, kind: str) -> Cell:
    states = {"missing": _is_missing(text), "long": len(text) > _LONG}
    return text, " ".join(filter(None, (kind, *(name for name, is_so in states.items() if is_so))))


def _is_missing(text: str) -> bool:
    return text in ("", "-", NOT_KNOWN, NOT_RUN)
