"""How positions move in the course of training, as in Figure 6 of the CVPR paper."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from caffe_acu.evenly import evenly
from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure, set_title
from caffe_acu.plots.style import INCH, MUTED, PAGE, Size, shortened, styled
from caffe_acu.positions import LayerSeries

_MOMENTS = 1000  # more cannot be told apart, and make large files
_ROW, _AROUND = 1.45, 0.75  # inches: of a layer; for the legend and the names of axes


@styled
def movement(series: Sequence[LayerSeries], title: str = "", shown_set: int = 0, size: Size = PAGE) -> Figure:
    """alpha and beta of every synapse of a position set over the iterations: a row per layer, a line per synapse."""
    figure = new_figure(size.width, size.height or _ROW * len(series) + _AROUND)
    axes = figure.subplots(len(series), 2, squeeze=False, sharex=True)
    warmup = False
    for row, layer in zip(axes, series, strict=True):
        moments = evenly(len(layer.iterations), _MOMENTS)
        for axis, values, symbol in ((row[0], layer.x, "α"), (row[1], layer.y, "β")):
            _draw_lines(axis, layer.iterations[moments], values[moments, shown_set], f"{symbol}-{layer.layer}")
            if 0 < layer.warmup_iter <= layer.iterations[-1]:
                axis.axvline(layer.warmup_iter, color=MUTED, linestyle=":", linewidth=1)
                warmup = True
            axis.set_ylabel(f"{symbol} (pixels)")
            axis.grid()
        sets = layer.x.shape[1]
        name = f"{layer.layer}, set {shown_set} of {sets}" if sets > 1 else layer.layer
        row[0].set_title(shortened(name, 0.8 * INCH * size.width, 8), loc="left").set_in_layout(False)
    for axis in axes[-1]:
        axis.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axis.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.set_xlabel("iteration (dotted: end of the warm-up)" if warmup else "iteration")
        axis.margins(x=0.02)
    most = max(series, key=lambda layer: layer.x.shape[2])
    lines = axes[list(series).index(most), 0].lines[: most.x.shape[2]]
    columns = min(len(lines), int(2 * size.width))
    figure.legend(handles=lines, title="synapse", loc="outside lower center", ncols=columns, handlelength=1.4,
                  columnspacing=1)  # fmt: skip
    set_title(figure, title)
    return figure


def _draw_lines(axis: Axes, iterations: np.ndarray, values: np.ndarray, name: str) -> None:
    for k, line in enumerate(values.T):
        # The dash tells apart synapses beyond the palette's length.
        style = ("-", "--", ":", "-.")[k // len(COLOURS) % 4]
        (drawn,) = axis.plot(iterations, line, style, color=COLOURS[k % len(COLOURS)], label=str(k))
        drawn.set_gid(f"{name}-{k}")  # by which an SVG names it
