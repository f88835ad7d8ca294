"""The learned shapes, as in Figures 5, 9 and 12 of the CVPR paper and Figure 4 of the grouped one."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from caffe_acu.evenly import evenly
from caffe_acu.plots.colours import COLOURS, GREY
from caffe_acu.plots.panels import MARGIN, panels, reach_of
from caffe_acu.plots.style import MUTED, PAGE, Size, styled
from caffe_acu.positions import LayerPositions

_MAX_SETS, _MAX_PANELS = 12, 40  # of a layer, of all; a depthwise layer has hundreds of sets
FIXED = "#404040"
LEAST = 1.3  # inches of a panel
_LEGIBLE = 6.0  # points across a dot, for a number in it


@styled
def shapes(
    layers: Sequence[LayerPositions],
    title: str = "",
    columns: int | None = None,
    frame: int | None = None,
    sets: Sequence[np.ndarray] | None = None,
    size: Size = PAGE,
) -> Figure:
    """One panel per layer and position set, all to one scale, y downwards as in an image.

    Pixels are the grid; a ring with a line is where a synapse started, a numbered dot where it is now, a
    cross the origin, a square the fixed synapse; the dashed frame is the area whose pixels a convolution of
    that size takes in.

    Args:
        columns: panels in a row (as many as are legible).
        sets: those to draw of each layer (up to twelve, evenly spread).

    UserError if they do not fit into ``size``.
    """
    shown = with_sets(layers, sets)
    drawn_sets = [(one.x[s], one.y[s], *starts(one, s)) for one, s in shown]
    reach = reach_of(values for of_one in drawn_sets for values in of_one)
    if frame:
        reach = max(reach, frame // 2 + MARGIN)
    drawn = panels([_heading(layer, s) for layer, s in shown], reach, size, columns, LEAST, title)
    for axis, (layer, s) in zip(drawn.axes, shown, strict=True):
        _draw_shape(axis, layer, s, drawn.pixel)
        if frame:
            half = frame // 2
            axis.add_patch(Rectangle((-half, -half), 2 * half, 2 * half, fill=False, linestyle="--", color=MUTED))
    return drawn.figure


def with_sets(
    layers: Sequence[LayerPositions], sets: Sequence[np.ndarray] | None, most: int = _MAX_PANELS
) -> list[tuple[LayerPositions, int]]:
    """The layers, each with one of its ``sets`` after the other; None: evenly spread ones, about ``most`` in all.

    In that case a single synapse, as the authors' 1x1 layer has, is left out: it is no shape.
    """
    if sets is None:
        layers = [layer for layer in layers if layer.x.shape[1] > 1] or layers
        of_each = max(1, min(_MAX_SETS, most // len(layers)))
        sets = [evenly(len(layer.x), of_each) for layer in layers]
    return [(layer, int(s)) for layer, chosen in zip(layers, sets, strict=True) for s in chosen]


def starts(layer: LayerPositions, s: int) -> tuple[np.ndarray, np.ndarray]:
    """x and y, (K,) each, from which the synapses of a set have moved."""
    start_x, start_y = (np.broadcast_to(start, layer.x.shape)[s] for start in (layer.start_x, layer.start_y))
    return start_x, start_y


def draw_starts(axis: Axes, x: np.ndarray, y: np.ndarray, pixel: float) -> None:
    size = (0.6 * dot_size(pixel)) ** 2
    axis.scatter(x, y, s=size, facecolors="none", edgecolors=GREY, linewidths=0.7, zorder=1)


def set_name(layer: LayerPositions, s: int) -> str:
    return layer.layer if len(layer.x) == 1 else f"{layer.layer}, set {s} of {len(layer.x)}"


def dot_size(pixel: float) -> float:
    """Points across the dot of a synapse, where a pixel is so many points long."""
    return min(9.0, max(2.0, 0.5 * pixel))


def _heading(layer: LayerPositions, s: int) -> str:
    free = layer.free[s]
    moved, radius = (values[s][free].mean() if free.any() else 0 for values in (layer.displacement, layer.radius))
    # Lines are broken at other spaces than these, which do not part a number from what it is.
    return f"{set_name(layer, s)}\nmoved\xa0{moved:.2f}\xa0px, radius\xa0{radius:.2f}\xa0px"


def _draw_shape(axis: Axes, layer: LayerPositions, s: int, pixel: float) -> None:
    x, y = layer.x[s], layer.y[s]
    start_x, start_y = starts(layer, s)
    dot = dot_size(pixel)
    for k in range(len(x)):
        axis.plot([start_x[k], x[k]], [start_y[k], y[k]], color=GREY, linewidth=0.8, zorder=1)
    draw_starts(axis, start_x, start_y, pixel)
    free = layer.free[s]
    for which, marker, colour, name in ((free, "o", COLOURS[0], "synapses"), (~free, "s", FIXED, "fixed")):
        dots = axis.scatter(x[which], y[which], s=dot**2, marker=marker, color=colour, linewidths=0, zorder=3)
        dots.set_gid(f"{name}-{layer.layer}-{s}")  # by which an SVG names them
    if dot >= _LEGIBLE:
        for k in range(len(x)):
            axis.text(
                x[k], y[k], str(k), color="white", fontsize=0.62 * dot, ha="center", va="center_baseline", zorder=4
            )
