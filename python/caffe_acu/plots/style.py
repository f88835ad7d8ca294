"""One style for all figures: for print, in a column or across a page, whatever Matplotlib's settings of a user are."""

import re
from typing import NamedTuple

import matplotlib.style
from cycler import cycler
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from caffe_acu.plots.colours import COLOURS

INCH = 72  # points
TITLE, HEADING, SMALL = 9, 7, 6  # points, of letters
MUTED, FAINT = "#808080", "#e6e6e6"  # what stands behind the data: frames and marks; grids

_FONT = "DejaVu Sans"  # comes with Matplotlib, so that every machine draws the same
_STYLE = {
    "font.family": [_FONT],
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": HEADING,
    "ytick.labelsize": HEADING,
    "legend.fontsize": HEADING,
    "legend.title_fontsize": HEADING,
    "legend.frameon": False,
    "figure.titlesize": TITLE,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "axes.prop_cycle": cycler(color=COLOURS),
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.2,
    "image.interpolation": "nearest",
    "path.simplify": False,  # every point is where the arrays have it
    "pdf.fonttype": 42,  # TrueType, embedded, as publishers ask
    "svg.hashsalt": "caffe-acu",  # the same arrays make the same file
}

# A context, and a decorator for functions that draw.
styled = matplotlib.style.context(["default", _STYLE])


class Size(NamedTuple):
    """Of a figure, in inches. Figures with little in them are narrower."""

    width: float
    height: float | None = None  # None: as what is drawn asks for


# Of a two-column paper, as both papers are: a column, and the whole page.
COLUMN, PAGE = Size(3.25), Size(6.875)


def text_width(text: str, size: float) -> float:
    """In points, of one line in letters of that size."""
    return text_to_path.get_text_width_height_descent(text, FontProperties(family=_FONT, size=size), False)[0]


def broken(name: str, points: float, size: float) -> str:
    """A name in as many lines as it needs, broken after what joins its parts."""
    lines = [""]
    for part in re.findall(r"[^_/,: -]*[_/,: -]*", name):
        if text_width(lines[-1] + part, size) <= points or not lines[-1]:
            lines[-1] += part
        else:
            lines.append(part)
    return "\n".join(shortened(line.strip(), points, size) for line in lines)


def shortened(text: str, points: float, size: float) -> str:
    """The text, or as much of its beginning and end as fits."""
    if text_width(text, size) <= points:
        return text
    for kept in range(len(text) - 1, 1, -1):
        cut = f"{text[: kept // 2]}…{text[-(kept - kept // 2) :]}"
        if text_width(cut, size) <= points:
            return cut
    return "…"


def wrapped(text: str, points: float, size: float) -> str:
    """The text with line breaks between words, so that each line fits."""
    return "\n".join(_wrapped_line(line, points, size) for line in text.split("\n")) if text else ""


def _wrapped_line(line: str, points: float, size: float) -> str:
    lines: list[str] = []
    for word in line.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size) <= points:
            lines[-1] = longer
        else:
            lines.append(shortened(word, points, size))
    return "\n".join(lines)
