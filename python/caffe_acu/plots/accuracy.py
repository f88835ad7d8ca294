"""Accuracies of several networks, as in Figures 7 and 11 of the grouped paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure, set_legend, set_title
from caffe_acu.plots.style import PAGE, Size, styled

_MARKERS = "os^Dv"


@dataclass(frozen=True)
class AccuracyLine:
    """Networks of one kind, by what the figure goes by."""

    x: Sequence[float]
    mean: Sequence[float]  # percent, over runs
    std: Sequence[float | None]  # their sample standard deviation; None: a single run
    printed: Sequence[float] | None = None  # what the paper has; None: not to be compared


@styled
def accuracy_lines(
    lines: Mapping[str, AccuracyLine],
    xlabel: str,
    title: str = "",
    xticks: Mapping[float, str] | None = None,
    size: Size = PAGE,
    joined: bool = True,
) -> Figure:
    """Of each kind means, with their standard deviations as bars, and what the paper printed, dotted or hollow.

    Args:
        xticks: what stands at the horizontal axis, in place of numbers.
        joined: by lines; without them if there is nothing between two places on the axis.
    """
    figure = new_figure(size.width, size.height or 0.45 * size.width + 1.2)
    axis = figure.subplots()
    handles: list[Artist] = []
    for (name, line), colour, marker in zip(lines.items(), COLOURS, cycle(_MARKERS), strict=False):
        several = any(std is not None for std in line.std)
        bars = [np.nan if std is None else std for std in line.std] if several else None
        handles.append(
            axis.errorbar(
                line.x,
                line.mean,
                bars,
                fmt=f"{'-' * joined}{marker}",
                color=colour,
                capsize=3,
                markersize=5,
                label=name,
            )
        )
        if line.printed is not None:
            handles += axis.plot(line.x, line.printed, f"{':' * joined}{marker}", color=colour, markerfacecolor="white",
                                 markersize=4, linewidth=1, label=f"{name}, paper")  # fmt: skip
    if xticks:
        axis.set_xticks(list(xticks), list(xticks.values()))
        axis.margins(x=0.12)
    axis.set_xlabel(xlabel)
    axis.set_ylabel("test accuracy (%)")
    axis.grid()
    set_legend(figure, handles, 2, size)
    set_title(figure, title)
    return figure
