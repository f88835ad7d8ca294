"""The many position sets of a grouped layer, as in Figures 8 to 10 of the grouped paper."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.ticker import LogLocator, StrMethodFormatter

from caffe_acu.errors import UserError
from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure
from caffe_acu.plots.panels import MARGIN, panels, reach_of
from caffe_acu.plots.style import FAINT, INCH, PAGE, SMALL, TITLE, Size, styled, wrapped
from caffe_acu.positions import LayerPositions

_BIN = 0.1  # pixels, of a histogram
_MOST_BINS = 2000  # along each side of a panel: 100 pixels to each side
_MARKERS = "osD^v"
_BAR = 52  # points for the scale of colours


@styled
def position_sets(layer: LayerPositions, sets: np.ndarray, title: str = "", size: Size = PAGE) -> Figure:
    """These sets of a layer, a cell for each, row by row, all to one scale, y downwards as in an image.

    A dot is where a synapse is, a line leads to where it started, a cross is the origin. Coordinates are pixels; cell
    i has its origin at (i mod columns, i div columns) times the width of a cell.
    """
    columns = math.ceil(math.sqrt(len(sets)))
    rows = math.ceil(len(sets) / columns)
    pitch = 2 * reach_of((layer.x[sets], layer.y[sets]))
    cells = np.arange(len(sets))
    shift_x, shift_y = pitch * (cells % columns)[:, None], pitch * (cells // columns)[:, None]
    x, y = layer.x[sets] + shift_x, layer.y[sets] + shift_y
    start_x, start_y = (np.broadcast_to(start, layer.x.shape)[sets] for start in (layer.start_x, layer.start_y))
    text = f"a cell is {pitch:.1f} x {pitch:.1f} pixels, lines lead to where synapses started"
    text = wrapped(f"{title}; {text}" if title else text, size.width * INCH - 12, TITLE)
    head = (text.count("\n") + 1.4) * 1.25 * TITLE / INCH + 0.05
    edge = size.width - 0.1
    if size.height:
        edge = min(edge, (size.height - head - 0.05) * columns / rows)
    height = size.height or edge * rows / columns + head + 0.05
    figure = new_figure(size.width, height, None)
    figure.suptitle(text, y=1 - 0.06 / height, va="top")
    box = (0.5 - edge / 2 / size.width, 0.05 / height, edge / size.width, edge * rows / columns / height)
    axis = figure.add_axes(box)
    axis.set(aspect="equal", xlim=(-pitch / 2, pitch * (columns - 0.5)), ylim=(pitch * (rows - 0.5), -pitch / 2))
    axis.set_axis_off()
    axis.hlines(pitch * (np.arange(rows + 1) - 0.5), *axis.get_xlim(), color=FAINT, linewidth=0.5)
    axis.vlines(pitch * (np.arange(columns + 1) - 0.5), *axis.get_ylim(), color=FAINT, linewidth=0.5)
    pixel = edge * INCH / columns / pitch
    # Ways upon the dots, which would hide all that are shorter than they are wide.
    # One artist of each kind: axes for hundreds of sets would take a minute, lines one by one a megabyte.
    ways = np.stack([start_x + shift_x, start_y + shift_y, x, y], axis=-1).reshape(-1, 2)
    steps = np.tile(np.array([Path.MOVETO, Path.LINETO], np.uint8), len(ways) // 2)
    axis.add_patch(
        PathPatch(Path(ways, steps), fill=False, edgecolor="black", linewidth=min(0.8, 0.07 * pixel), zorder=4)
    )
    dot = min(6.0, 0.3 * pixel)
    origins = axis.scatter(
        shift_x, shift_y, s=(0.9 * dot) ** 2, marker="+", color="black", linewidths=0.1 * dot, zorder=2
    )
    origins.set_gid("origins")
    dots = axis.scatter(x, y, s=dot**2, color=COLOURS[0], linewidths=0, zorder=3)
    dots.set_gid(f"synapses-{layer.layer}")
    return figure


@styled
def sets_in_colours(
    layers: Sequence[LayerPositions],
    sets: Sequence[np.ndarray],
    title: str = "",
    columns: int | None = None,
    size: Size = PAGE,
) -> Figure:
    """A panel for each layer, all to one scale; in it these of its sets (up to five), a colour and a marker each."""
    shown = list(zip(layers, sets, strict=True))
    reach = reach_of(values[chosen] for layer, chosen in shown for values in (layer.x, layer.y))
    headings = [f"{layer.layer}\nof {len(layer.x)} sets\n" for layer in layers]
    drawn = panels(headings, reach, size, columns, 1.6, title)
    dot = min(5.0, max(2.5, 0.35 * drawn.pixel))
    for axis, (layer, chosen) in zip(drawn.axes, shown, strict=True):
        for s, colour, marker in zip(chosen, COLOURS, _MARKERS, strict=False):
            dots = axis.scatter(layer.x[s], layer.y[s], s=dot**2, color=colour, marker=marker, alpha=0.8, linewidths=0,
                                zorder=3, label=str(s))  # fmt: skip
            dots.set_gid(f"synapses-{layer.layer}-{s}")
        # In the third line of the heading, which is left free.
        axis.legend(fontsize=SMALL, ncols=len(chosen), loc="lower center", bbox_to_anchor=(0.5, 1), borderpad=0.1,
                    borderaxespad=0.1, columnspacing=0.7, handletextpad=0, handlelength=1.2)  # fmt: skip
    return drawn.figure


@styled
def position_histograms(
    layers: Mapping[str, Sequence[LayerPositions]], title: str = "", columns: int | None = None, size: Size = PAGE
) -> Figure:
    """How many synapses of all sets are where, in squares of a tenth of a pixel.

    A panel for each entry, such as a block, which counts all its layers. Darker is more, by a logarithmic scale that
    all panels share. Fixed synapses are left out.

    UserError, with the layer's name, if a synapse is out of all proportion.
    """
    far = max((layer for block in layers.values() for layer in block), key=lambda one: reach_of((one.x, one.y)))
    reach = reach_of((far.x, far.y))
    half = math.ceil(reach / _BIN)
    if 2 * half > _MOST_BINS:
        raise UserError(
            f"layer {far.layer!r}: a synapse is {reach - MARGIN:,.0f} pixels from the base point; a histogram shows "
            f"{_BIN * _MOST_BINS / 2:.0f}; take an earlier iteration, or other layers"
        )
    edges = _BIN * (np.arange(-half, half + 2) - 0.5)  # the lattice in the middle of squares
    counts = [sum(np.histogram2d(layer.y[layer.free], layer.x[layer.free], bins=edges)[0] for layer in block)
              for block in layers.values()]  # fmt: skip
    norm = LogNorm(1, max(2, max(count.max() for count in counts)))
    headings = [_counted(name, block) for name, block in layers.items()]
    drawn = panels(headings, reach, size, columns, 1.6, title, beside=_BAR)
    for axis, count in zip(drawn.axes, counts, strict=True):
        squares = np.ma.masked_equal(count, 0)
        mesh = axis.pcolormesh(edges, edges, squares, norm=norm, cmap="viridis_r", rasterized=True, zorder=2)
    left, bottom, width, height = drawn.box
    inches = drawn.figure.get_size_inches()
    shown = min(height, 2.5 / inches[1])
    bar = (left + width + 8 / INCH / inches[0], bottom + (height - shown) / 2, 8 / INCH / inches[0], shown)
    scale = drawn.figure.colorbar(
        mesh,
        cax=drawn.figure.add_axes(bar),
        label="synapses in\n0.1 x 0.1 pixels",
        ticks=LogLocator(subs=(1, 2, 5)),
        format=StrMethodFormatter("{x:,.0f}"),
    )
    scale.ax.minorticks_off()
    return drawn.figure


def _counted(name: str, block: Sequence[LayerPositions]) -> str:
    several = f"{len(block)} layers, " if len(block) > 1 else ""
    sets = sum(len(layer.x) for layer in block)
    return f"{name}\n{several}{sets} set{'s' * (sets != 1)}"
