"""Filters as pictures, as in Figure 12 of the grouped paper."""

import math
from collections.abc import Iterable, Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from caffe_acu.kernels import DenseKernel
from caffe_acu.plots.colours import GREY
from caffe_acu.plots.figures import new_figure

_COLOURS = matplotlib.colormaps["PuOr_r"].with_extremes(bad=GREY)


def filters(kernels: Mapping[str, DenseKernel], title: str = "") -> Figure:
    """Depthwise layers, a panel for each, all over the pixels that any of them reaches.

    Each filter is divided by its greatest absolute weight; orange is positive, purple negative, white zero.
    """
    top, left, height, width = _box(kernels.values())
    figure = new_figure(6 * len(kernels), 6.5 + (0.4 if title else 0))
    axes = figure.subplots(1, len(kernels), squeeze=False).ravel()
    for axis, (name, kernel) in zip(axes, kernels.items(), strict=True):
        axis.imshow(mosaic(kernel, (top, left), (height, width)), cmap=_COLOURS, vmin=-1, vmax=1)
        axis.set_axis_off()
        taps = "x".join(map(str, kernel.weight.shape[2:]))
        axis.set_title(f"{name}: {len(kernel.weight)} filters within {taps} pixels", fontsize=9)
    legend = "each divided by its greatest weight: orange positive, purple negative, white zero"
    figure.suptitle(f"{title}\n{legend}" if title else legend, fontsize=10)
    return figure


def mosaic(kernel: DenseKernel, origin: tuple[int, int], size: tuple[int, int]) -> np.ndarray:
    """Filters side by side, in rows of equally many, each in ``size`` pixels from ``origin`` on, NaN between them."""
    weight = kernel.weight[:, 0]
    peaks = np.abs(weight).max(axis=(1, 2), keepdims=True)
    columns = math.ceil(math.sqrt(len(weight)))
    cells = np.full((math.ceil(len(weight) / columns) * columns, size[0] + 1, size[1] + 1), np.nan)
    cells[: len(weight), :-1, :-1] = 0
    above, before = kernel.origin[0] - origin[0], kernel.origin[1] - origin[1]
    rows, taps = weight.shape[1:]
    cells[: len(weight), above : above + rows, before : before + taps] = weight / np.where(peaks == 0, 1, peaks)
    table = cells.reshape(-1, columns, size[0] + 1, size[1] + 1).swapaxes(1, 2)
    return table.reshape(table.shape[0] * table.shape[1], -1)[:-1, :-1]


def _box(kernels: Iterable[DenseKernel]) -> tuple[int, int, int, int]:
    """First row and column, height and width of what all reach together."""
    kernels = list(kernels)
    first = [min(kernel.origin[axis] for kernel in kernels) for axis in (0, 1)]
    end = [max(kernel.origin[axis] + kernel.weight.shape[2 + axis] for kernel in kernels) for axis in (0, 1)]
    return first[0], first[1], end[0] - first[0], end[1] - first[1]
