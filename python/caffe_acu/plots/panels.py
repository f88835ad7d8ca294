"""The plane in which synapses lie, as axes: many of them side by side, all to one scale."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from caffe_acu.errors import UserError
from caffe_acu.plots.colours import GREY
from caffe_acu.plots.figures import new_figure
from caffe_acu.plots.style import COLUMN, FAINT, HEADING, INCH, MUTED, SMALL, TITLE, Size, broken, text_width, wrapped

MARGIN = 0.6  # pixels around the outermost synapse

# All in points.
_LEFT, _RIGHT, _TOP, _BOTTOM = 34, 8, 5, 26  # around all panels, for the names and numbers of axes
_GAP = 7
_LARGEST, _SMALLEST = 2.3 * INCH, 18  # sides of a panel
_LABEL_ROOM = 12  # between two numbers at an axis
_LATTICE_ROOM = 4  # between two lines of the lattice
_LINE = 1.25  # height of a line of text, in letters


@dataclass(frozen=True)
class Panels:
    """Axes in which a pixel is as long everywhere."""

    figure: Figure
    axes: list[Axes]
    pixel: float  # its length in points
    box: tuple[float, float, float, float]  # left, bottom, width and height of all together, in parts of the figure


def reach_of(arrays: Iterable[np.ndarray]) -> float:
    """Pixels from the origin to the edge of a square that holds all these coordinates, and a margin."""
    return MARGIN + float(max(np.abs(values).max() for values in arrays))


def panels(
    headings: Sequence[str],
    reach: float,
    size: Size,
    columns: int | None,
    least: float,
    title: str = "",
    below: float = 0,
    beside: float = 0,
) -> Panels:
    """A square panel for each heading (one or more lines), up to ``reach`` pixels from the origin, y downwards.

    Args:
        columns: panels in a row; None: as many as are ``least`` inches wide, and no row much shorter than others.
        below, beside: points to leave free at the lower and the right edge.

    UserError if ``size`` has no room for so many.
    """
    columns = min(columns or _balanced(len(headings), int(size.width / least)), len(headings))
    rows = math.ceil(len(headings) / columns)
    width = size.width * INCH - beside
    # Placed by hand: the layout engine takes a minute for hundreds of axes.
    side = min((width - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns, _LARGEST)
    headings = [
        "\n".join(broken(line, side + 0.3 * _GAP, HEADING) for line in heading.split("\n")) for heading in headings
    ]
    head = max(heading.count("\n") + 1 for heading in headings) * HEADING * _LINE + 3
    width = max(_LEFT + columns * side + (columns - 1) * _GAP + _RIGHT + beside, min(COLUMN.width, size.width) * INCH)
    title = wrapped(title, width - 2 * _RIGHT, TITLE)
    top = _TOP + (title.count("\n") + 1.4) * TITLE * _LINE * bool(title)
    others = top + rows * head + (rows - 1) * _GAP + _BOTTOM + below
    if size.height:
        side = min(side, (size.height * INCH - others) / rows)
        width = size.width * INCH
    if side < _SMALLEST:
        raise UserError(
            f"{len(headings)} panels in {columns} columns are too many for {width / INCH:.1f} x "
            f"{size.height or others / INCH:.1f} inches; fewer layers, or another number of columns or size"
        )
    height = size.height * INCH if size.height else others + rows * side
    figure = new_figure(width / INCH, height / INCH, None)
    inside = columns * side + (columns - 1) * _GAP
    left = (width - beside + _LEFT - _RIGHT - inside) / 2
    axes = []
    for i, heading in enumerate(headings):
        row, column = divmod(i, columns)
        x, y = left + column * (side + _GAP), height - top - (row + 1) * (head + side) - row * _GAP
        axis = figure.add_axes((x / width, y / height, side / width, side / height))
        draw_pixel_plane(axis, reach, side / 2 / reach)
        axis.tick_params(labelleft=column == 0, labelbottom=i + columns >= len(headings))
        axis.set_title(heading, fontsize=HEADING, pad=3)
        axes.append(axis)
    bottom = height - top - rows * (head + side) - (rows - 1) * _GAP
    middle = (bottom + height - top) / 2
    figure.text((left + inside / 2) / width, (below + 4) / height, "α (pixels, to the right)", ha="center", va="bottom")
    figure.text((left - _LEFT + 3) / width, middle / height, "β (pixels, down)", ha="left", va="center", rotation=90)
    if title:
        figure.suptitle(title, y=1 - _TOP / height, va="top")
    box = (left / width, bottom / height, inside / width, (height - top - bottom) / height)
    return Panels(figure, axes, side / 2 / reach, box)


def _balanced(count: int, most: int) -> int:
    rows = math.ceil(count / max(most, 1))
    return math.ceil(count / rows)


def draw_pixel_plane(axis: Axes, reach: float, pixel: float) -> None:
    """The square up to ``reach`` pixels from the origin, y downwards as in an image; a line for each row and column of
    pixels, a cross at the origin. ``pixel``: its length in points."""
    axis.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    farthest = math.floor(reach)
    lattice = _multiples(max(1, math.ceil(_LATTICE_ROOM / pixel)), farthest)
    room = max(_LABEL_ROOM, text_width(f"-{farthest}", SMALL) + 4)
    labelled = _multiples(max(1, math.ceil(room / pixel)), farthest)
    for one in (axis.xaxis, axis.yaxis):
        one.set_ticks(labelled)
        one.set_ticks(lattice, minor=True)
    axis.ticklabel_format(style="plain", useOffset=False)
    axis.tick_params(which="both", length=0, colors=MUTED)
    axis.tick_params(labelsize=SMALL, pad=2)
    axis.grid(which="both", color=FAINT, linewidth=0.5)
    for side in axis.spines.values():
        side.set_color(GREY)
    axis.plot([0], [0], "+", color="black", markersize=min(6, 0.4 * pixel), markeredgewidth=0.6, zorder=2)


def _multiples(step: int, farthest: int) -> np.ndarray:
    """Of ``step``, the origin among them, up to ``farthest`` on both sides."""
    return step * np.arange(-(farthest // step), farthest // step + 1)
