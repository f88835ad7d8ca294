"""The many position sets of a grouped layer, as in Figures 8 to 10 of the grouped paper."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure
from caffe_acu.plots.pixel_plane import MARGIN, draw_pixel_plane
from caffe_acu.positions import LayerPositions

_BIN = 0.1  # pixels, of a histogram
_MARKERS = "osD^v"


def position_sets(layer: LayerPositions, sets: np.ndarray, title: str = "") -> Figure:
    """These sets of a layer, a cell for each, row by row, all to one scale, y downwards as in an image.

    A dot is where a synapse is, a line leads to where it started, a cross is the origin. Coordinates are pixels; cell
    i has its origin at (i mod columns, i div columns) times the width of a cell.
    """
    columns = math.ceil(math.sqrt(len(sets)))
    rows = math.ceil(len(sets) / columns)
    pitch = 2 * (_reach(layer.x[sets], layer.y[sets]) + MARGIN)
    cells = np.arange(len(sets))
    shift_x, shift_y = pitch * (cells % columns)[:, None], pitch * (cells // columns)[:, None]
    x, y = layer.x[sets] + shift_x, layer.y[sets] + shift_y
    start_x, start_y = (np.broadcast_to(start, layer.x.shape)[sets] for start in (layer.start_x, layer.start_y))
    figure = new_figure(9, 9 * rows / columns + 0.6)
    axis = figure.subplots()
    axis.set(aspect="equal", xlim=(-pitch / 2, pitch * (columns - 0.5)), ylim=(pitch * (rows - 0.5), -pitch / 2))
    # One collection of each kind: axes for hundreds of sets would take a minute.
    axis.hlines(pitch * (np.arange(rows + 1) - 0.5), *axis.get_xlim(), color="#e0e0e0", linewidth=0.6)
    axis.vlines(pitch * (np.arange(columns + 1) - 0.5), *axis.get_ylim(), color="#e0e0e0", linewidth=0.6)
    paths = np.stack([[start_x + shift_x, start_y + shift_y], [x, y]]).transpose(2, 3, 0, 1).reshape(-1, 2, 2)
    size = min(1.0, 8 / columns)  # of what is drawn, against what fits eight cells in a row
    axis.add_collection(LineCollection(paths, colors="#808080", linewidths=0.8 * size, zorder=1))
    axis.scatter(shift_x, shift_y, s=60 * size**2, marker="+", color="black", linewidths=0.6, zorder=2)
    axis.scatter(x, y, s=36 * size**2, color=COLOURS[0], linewidths=0, zorder=3, label="synapses")
    axis.set_axis_off()
    axis.set_title(f"{title}, cells of {pitch:.1f} pixels" if title else f"cells of {pitch:.1f} pixels", fontsize=10)
    return figure


def sets_in_colours(
    layers: Sequence[LayerPositions], sets: Sequence[np.ndarray], title: str = "", columns: int = 3
) -> Figure:
    """A panel for each layer, all to one scale; in it these of its sets (up to five), a colour and a marker each."""
    rows = math.ceil(len(layers) / columns)
    shown = zip(layers, sets, strict=True)
    reach = max(_reach(layer.x[chosen], layer.y[chosen]) for layer, chosen in shown) + MARGIN
    figure = new_figure(2.9 * columns, 3.1 * rows + (0.5 if title else 0))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, layer, chosen in zip(axes, layers, sets, strict=False):
        draw_pixel_plane(axis, reach)
        for s, colour, marker in zip(chosen, COLOURS, _MARKERS, strict=False):
            axis.scatter(layer.x[s], layer.y[s], s=26, color=colour, marker=marker, alpha=0.85, zorder=3, label=str(s))
        axis.set_title(f"{layer.layer}\nof {len(layer.x)} sets", fontsize=8)
        axis.legend(title="set", title_fontsize=6, fontsize=6, ncols=5, loc="upper center", columnspacing=0.6,
                    handletextpad=0.1, bbox_to_anchor=(0.5, -0.05), frameon=False)  # fmt: skip
    for axis in axes[len(layers) :]:
        axis.set_axis_off()
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def position_histograms(layers: Sequence[LayerPositions], title: str = "", columns: int = 4) -> Figure:
    """How many synapses of all sets are where: a panel for each layer, in squares of a tenth of a pixel.

    Darker is more, by a logarithmic scale that all panels share. Fixed synapses are left out.
    """
    rows = math.ceil(len(layers) / columns)
    reach = max(_reach(layer.x, layer.y) for layer in layers) + MARGIN
    half = math.ceil(reach / _BIN)
    edges = _BIN * (np.arange(-half, half + 2) - 0.5)  # the lattice in the middle of squares
    counts = [np.histogram2d(layer.y[layer.free], layer.x[layer.free], bins=edges)[0] for layer in layers]
    norm = LogNorm(1, max(2, max(count.max() for count in counts)))
    figure = new_figure(2.4 * columns + 0.8, 2.5 * rows + (0.5 if title else 0))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis, layer, count in zip(axes, layers, counts, strict=False):
        draw_pixel_plane(axis, reach)
        squares = np.ma.masked_equal(count, 0)
        mesh = axis.pcolormesh(edges, edges, squares, norm=norm, cmap="viridis_r", rasterized=True, zorder=2)
        axis.set_title(f"{layer.layer}\n{len(layer.x)} sets", fontsize=7)
    for axis in axes[len(layers) :]:
        axis.set_axis_off()
    figure.colorbar(mesh, ax=axes.tolist(), label="synapses", shrink=0.6)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _reach(x: np.ndarray, y: np.ndarray) -> float:
    return float(max(np.abs(x).max(), np.abs(y).max()))
