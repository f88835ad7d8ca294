"""Filters as pictures, as in Figure 12 of the grouped paper."""

import math
from collections.abc import Iterable, Mapping

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from caffe_acu.evenly import evenly
from caffe_acu.kernels import DenseKernel
from caffe_acu.plots.colours import GREY
from caffe_acu.plots.figures import new_figure
from caffe_acu.plots.style import HEADING, INCH, PAGE, TITLE, Size, shortened, styled, text_width, wrapped

_COLOURS = matplotlib.colormaps["PuOr_r"].with_extremes(bad=GREY)
_MOST = 256  # side by side, of a layer
_GAP, _BELOW, _BAR = 0.1, 0.62, 2.0  # inches: around panels, for the scale of colours, and its length


@styled
def filters(kernels: Mapping[str, DenseKernel], title: str = "", most: int = _MOST, size: Size = PAGE) -> Figure:
    """Kernels of layers, a panel for each, all over the pixels that any of them reaches.

    A filter belongs to an output and an input of its group: a depthwise layer has one for each channel. At most
    ``most`` of them, evenly spread. Each is divided by its greatest absolute weight; orange is positive, purple
    negative, white zero.
    """
    top, left, rows, columns = _box(kernels.values())
    chosen = {name: _chosen(kernel, most) for name, kernel in kernels.items()}
    pictures = [mosaic(kernel, (top, left), (rows, columns)) for kernel in chosen.values()]
    title = wrapped(title, 0.97 * size.width * INCH, TITLE)
    width = room = (size.width - _GAP * (len(kernels) + 1)) / len(kernels)
    headings = [
        _heading(name, kernel, math.prod(kernels[name].weight.shape[:2]), width) for name, kernel in chosen.items()
    ]
    lines = max(heading.count("\n") + 1.6 for heading in headings)
    above = ((title.count("\n") + 1.4) * TITLE * bool(title) + lines * HEADING) * 1.25 / INCH + 0.05
    tallest = max(len(picture) / len(picture[0]) for picture in pictures)
    if size.height:
        width = min(width, (size.height - above - _BELOW) / tallest)
    height = size.height or above + width * tallest + _BELOW
    figure = new_figure(size.width, height, None)
    for i, (heading, picture) in enumerate(zip(headings, pictures, strict=True)):
        tall = width * len(picture) / len(picture[0])
        place = (_GAP + i * (room + _GAP) + (room - width) / 2) / size.width, (height - above - tall) / height
        axis = figure.add_axes((*place, width / size.width, tall / height))
        image = axis.imshow(picture, cmap=_COLOURS, vmin=-1, vmax=1, aspect="auto")
        image.set_rasterized(True)  # squares with sharp edges, whatever shows the vector format
        axis.set_axis_off()
        axis.set_title(heading, fontsize=HEADING, pad=3)
    bar = figure.add_axes((0.5 - _BAR / 2 / size.width, 0.42 / height, _BAR / size.width, 0.1 / height))
    label = "weight, in parts of the filter's greatest"
    figure.colorbar(image, cax=bar, orientation="horizontal", ticks=[-1, -0.5, 0, 0.5, 1], label=label)
    if title:
        figure.suptitle(title, y=1 - 0.06 / height, va="top")
    return figure


def _heading(name: str, kernel: DenseKernel, count: int, width: float) -> str:
    """``count``: filters of the layer, of which the kernel may have fewer; ``width``: inches."""
    shown = f"{count:,}" if len(kernel.weight) == count else f"{len(kernel.weight)} of {count:,}"
    taps = " x ".join(map(str, kernel.weight.shape[2:]))
    count_and_size = f"{shown} filters", f"within {taps} pixels"
    text = " ".join(count_and_size)
    if text_width(text, HEADING) > width * INCH:
        text = "\n".join(shortened(part, width * INCH, HEADING) for part in count_and_size)
    return f"{shortened(name, width * INCH, HEADING)}\n{text}"


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
