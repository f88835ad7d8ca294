"""The learned shapes, as in Figures 5, 9 and 12 of the CVPR paper and Figure 4 of the grouped one."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from caffe_acu.plots.colours import COLOURS, GREY
from caffe_acu.plots.figures import new_figure
from caffe_acu.plots.pixel_plane import MARGIN, draw_pixel_plane
from caffe_acu.positions import LayerPositions

_COLUMNS = 6
_MAX_SETS = 12  # panels for a layer; a depthwise layer has hundreds of sets


def shapes(
    layers: Sequence[LayerPositions], title: str = "", columns: int = _COLUMNS, frame: int | None = None
) -> Figure:
    """One panel per layer and position set (the first twelve), all to one scale, y downwards as in an image.

    Pixels are the grid; a ring with a line is where a synapse started, a numbered dot where it is now, a
    cross the origin, a square the fixed synapse; the dashed frame is the area whose pixels a convolution of
    that size takes in.
    """
    # A single synapse, as the authors' 1x1 layer has, is no shape.
    layers = [layer for layer in layers if layer.x.shape[1] > 1] or layers
    panels = [(layer, s) for layer in layers for s in range(min(len(layer.x), _MAX_SETS))]
    columns = min(columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    reach = MARGIN + max(
        max(np.abs(values).max() for values in (layer.x, layer.y, layer.start_x, layer.start_y)) for layer in layers
    )
    if frame:
        reach = max(reach, frame // 2 + MARGIN)
    # No narrower than a title needs.
    figure = new_figure(max(2.2 * columns, 3.6), 2.4 * rows + (0.4 if title else 0))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, (layer, s) in zip(axes, panels, strict=False):
        _panel(axis, layer, s, reach)
        if frame:
            half = frame // 2
            axis.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fill=False, linestyle="--", color="#808080"))
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _panel(axis: Axes, layer: LayerPositions, s: int, reach: float) -> None:
    x, y = layer.x[s], layer.y[s]
    start_x, start_y = (np.broadcast_to(start, layer.x.shape)[s] for start in (layer.start_x, layer.start_y))
    draw_pixel_plane(axis, reach)
    for k in range(len(x)):
        axis.plot([start_x[k], x[k]], [start_y[k], y[k]], color=GREY, linewidth=0.8, zorder=1)
    axis.scatter(start_x, start_y, s=24, facecolors="none", edgecolors=GREY, linewidths=0.8, zorder=1)
    for k in range(len(x)):
        fixed = k == layer.fixed[s]
        axis.scatter(x[k], y[k], s=70, marker="s" if fixed else "o", color="#404040" if fixed else COLOURS[0], zorder=3)
        axis.annotate(str(k), (x[k], y[k]), color="white", fontsize=5.5, ha="center", va="center", zorder=4)
    name = layer.layer if len(layer.x) == 1 else f"{layer.layer}, set {s} of {len(layer.x)}"
    free = np.arange(len(x)) != layer.fixed[s]
    moved, radius = (values[s][free].mean() if free.any() else 0 for values in (layer.displacement, layer.radius))
    axis.set_title(f"{name}\nmoved {moved:.2f} px, radius {radius:.2f}", fontsize=7)
