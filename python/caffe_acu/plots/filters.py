"""Filters as pictures, as in Figure 12 of the grouped paper."""

import math
from collections.abc import Iterable, Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from caffe_acu.evenly import evenly
from caffe_acu.kernels import DenseKernel
from caffe_acu.plots.colours import GREY
from caffe_acu.plots.figures import new_figure, set_title
from caffe_acu.plots.style import PAGE, Size, styled

_COLOURS = matplotlib.colormaps["PuOr_r"].with_extremes(bad=GREY)
_MOST = 256  # side by side, of a layer
_AROUND = 0.75  # inches above and below the panels


@styled
def filters(kernels: Mapping[str, DenseKernel], title: str = "", most: int = _MOST, size: Size = PAGE) -> Figure:
    """Kernels of layers, a panel for each, all over the pixels that any of them reaches.

    A filter belongs to an output and an input of its group: a depthwise layer has one for each channel. At most
    ``most`` of them, evenly spread. Each is divided by its greatest absolute weight; orange is positive, purple
    negative, white zero.
    """
    top, left, height, width = _box(kernels.values())
    across = size.width / len(kernels)
    figure = new_figure(size.width, size.height or across * height / width + _AROUND + 0.2 * bool(title))
    axes = figure.subplots(1, len(kernels), squeeze=False).ravel()
    for axis, (name, kernel) in zip(axes, kernels.items(), strict=True):
        chosen = _chosen(kernel, most)
        picture = axis.imshow(mosaic(chosen, (top, left), (height, width)), cmap=_COLOURS, vmin=-1, vmax=1)
        picture.set_rasterized(True)  # squares with sharp edges, whatever shows the vector format
        axis.set_axis_off()
        count = math.prod(kernel.weight.shape[:2])
        shown = f"{count:,}" if len(chosen.weight) == count else f"{len(chosen.weight)} of {count:,}"
        axis.set_title(f"{name}\n{shown} filters of {' x '.join(map(str, kernel.weight.shape[2:]))} pixels")
    figure.colorbar(picture, ax=axes.tolist(), label="weight, in parts of the filter's greatest", shrink=0.5, aspect=40,
                    location="bottom", ticks=[-1, -0.5, 0, 0.5, 1], pad=0.03)  # fmt: skip
    set_title(figure, title)
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


def _chosen(kernel: DenseKernel, most: int) -> DenseKernel:
    """So many of its filters as if it were depthwise: (filters, 1, H, W)."""
    weight = kernel.weight.reshape(-1, 1, *kernel.weight.shape[2:])
    return DenseKernel(weight[evenly(len(weight), most)], kernel.origin, kernel.groups)


def _box(kernels: Iterable[DenseKernel]) -> tuple[int, int, int, int]:
    """First row and column, height and width of what all reach together."""
    kernels = list(kernels)
    first = [min(kernel.origin[axis] for kernel in kernels) for axis in (0, 1)]
    end = [max(kernel.origin[axis] + kernel.weight.shape[2 + axis] for kernel in kernels) for axis in (0, 1)]
    return first[0], first[1], end[0] - first[0], end[1] - first[1]
