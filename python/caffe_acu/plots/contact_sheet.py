"""Records of a data set side by side, as pictures."""

import math

from matplotlib.figure import Figure

from caffe_acu.data.show import Sheet
from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure
from caffe_acu.plots.style import styled

_COLUMNS = 8
_LONGEST_LABEL = 18  # characters that fit above a picture
_PLANE_COLOURS = {"R": COLOURS[1], "G": COLOURS[2], "B": COLOURS[0]}


@styled
def contact_sheet(sheet: Sheet) -> Figure:
    """The pictures with their labels, and below them a histogram of each channel's values."""
    columns = min(_COLUMNS, len(sheet.pictures))
    rows = math.ceil(len(sheet.pictures) / columns)
    width = max(1.25 * columns, 6)
    figure = new_figure(width, 1.45 * rows + 2.2)
    figure.suptitle(sheet.title, fontsize=11)
    upper, lower = figure.subfigures(2, 1, height_ratios=[1.45 * rows, 1.8])
    axes = upper.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, picture, label in zip(axes, sheet.pictures, sheet.labels, strict=False):
        axis.imshow(picture, cmap="gray" if picture.ndim == 2 else None, vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(_short(label), fontsize=7, pad=2)
    histogram = lower.subplots()
    for number, channel in enumerate(sheet.channels):
        colour = _PLANE_COLOURS.get(channel.name, COLOURS[number % len(COLOURS)])
        text = f"{channel.name}: mean {channel.mean:.4g}, deviation {channel.deviation:.4g}"
        histogram.stairs(channel.shares, channel.edges, color=colour, label=text)
    histogram.set_xlabel(f"value, in {sheet.records:,} records")
    histogram.set_ylabel("share")
    histogram.legend(fontsize=7)
    return figure


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST_LABEL else label[: _LONGEST_LABEL - 1] + "…"
