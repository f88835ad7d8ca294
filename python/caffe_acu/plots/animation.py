"""Shapes in the course of training, moment by moment, like the authors' plain.gif."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from caffe_acu.evenly import evenly
from caffe_acu.plots.colours import COLOURS, GREY
from caffe_acu.plots.panels import panels, reach_of
from caffe_acu.plots.shapes import FIXED, LEAST, dot_size, draw_starts, set_name, with_sets
from caffe_acu.plots.style import FAINT, INCH, MUTED, PAGE, Size, styled
from caffe_acu.positions import LayerSeries

_MOMENTS, _MOST_PANELS = 120, 20
_BAR = 30  # points below the panels, for the course of the training
_PIXELS_PER_INCH = 130


@dataclass(frozen=True)
class _Moving:
    """A position set in its panel: a dot for each synapse, a line along the way that it came."""

    x: np.ndarray  # (T, K)
    y: np.ndarray  # (T, K)
    dots: tuple[tuple[np.ndarray, PathCollection], ...]  # for free and fixed synapses, which (K,), and their dots
    ways: tuple[Line2D, ...]

    def show(self, moment: int) -> None:
        for which, dots in self.dots:
            dots.set_offsets(np.stack([self.x[moment, which], self.y[moment, which]], -1))
        for k, way in enumerate(self.ways):
            way.set_data(self.x[: moment + 1, k], self.y[: moment + 1, k])

    @property
    def artists(self) -> list[Artist]:
        return [*self.ways, *(dots for _, dots in self.dots)]


@dataclass(frozen=True)
class Animation:
    """A figure that can be shown at each of its moments.

    Attributes:
        iterations: (T,) of the moments.
    """

    figure: Figure
    iterations: np.ndarray
    _sets: Sequence[_Moving]
    _now: Line2D
    _text: Text
    _warmup_iter: int

    def show(self, moment: int) -> None:
        """Moves everything to where it was at that moment, an index below T."""
        for one in self._sets:
            one.show(moment)
        iteration = int(self.iterations[moment])
        self._now.set_data([iteration], [0])
        waiting = " (warm-up)" if iteration < self._warmup_iter else ""
        self._text.set_text(f"iteration {iteration:,}{waiting}")

    @styled
    def pictures(self) -> list[Image.Image]:
        """RGB, of all moments."""
        moving = [artist for one in self._sets for artist in one.artists] + [self._now, self._text]
        self.figure.set_dpi(_PIXELS_PER_INCH)
        for artist in moving:
            artist.set_animated(True)  # left out of the background, which is drawn once
        canvas = self.figure.canvas
        canvas.draw()
        background = canvas.copy_from_bbox(self.figure.bbox)
        found = []
        for moment in range(len(self.iterations)):
            self.show(moment)
            canvas.restore_region(background)
            for artist in moving:
                self.figure.draw_artist(artist)
            found.append(Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB"))
        return found


@styled
def shapes_over_time(
    series: Sequence[LayerSeries],
    title: str = "",
    columns: int | None = None,
    sets: Sequence[np.ndarray] | None = None,
    most_moments: int = _MOMENTS,
    size: Size = PAGE,
) -> Animation:
    """The panels of :func:`caffe_acu.plots.shapes.shapes` at ``most_moments`` of the training, evenly spread.

    Rings are where synapses started, lines the ways that they came. Below, the course of the training, in which the
    warm-up is shaded. ``sets``: those to draw of each layer (evenly spread, twenty of all layers together).
    """
    moments = evenly(len(series[0].iterations), most_moments)
    series = [replace(one, iterations=one.iterations[moments], x=one.x[moments], y=one.y[moments]) for one in series]
    by_name = {one.layer: one for one in series}
    shown = with_sets([one.last for one in series], sets, _MOST_PANELS)
    ways = [(by_name[layer.layer].x[:, s], by_name[layer.layer].y[:, s]) for layer, s in shown]
    headings = [set_name(layer, s) for layer, s in shown]
    drawn = panels(headings, reach_of(v for xy in ways for v in xy), size, columns, LEAST, title, below=_BAR)
    moving = [
        _moving(axis, x, y, layer.free[s], drawn.pixel)
        for axis, (layer, s), (x, y) in zip(drawn.axes, shown, ways, strict=True)
    ]
    warmup_iter = max(one.warmup_iter for one in series)
    now, text = _draw_course(drawn.figure, series[0].iterations, warmup_iter)
    animation = Animation(drawn.figure, series[0].iterations, moving, now, text, warmup_iter)
    animation.show(len(moments) - 1)
    return animation


def _moving(axis: Axes, x: np.ndarray, y: np.ndarray, free: np.ndarray, pixel: float) -> _Moving:
    draw_starts(axis, x[0], y[0], pixel)
    ways = tuple(axis.plot([], [], color=GREY, linewidth=0.8, zorder=1)[0] for _ in range(x.shape[1]))
    size = dot_size(pixel) ** 2
    dots = tuple(
        (which, axis.scatter(x[-1, which], y[-1, which], s=size, marker=marker, color=colour, linewidths=0, zorder=3))
        for which, marker, colour in ((free, "o", COLOURS[0]), (~free, "s", FIXED))
    )
    return _Moving(x, y, dots, ways)


def _draw_course(figure: Figure, iterations: np.ndarray, warmup_iter: int) -> tuple[Line2D, Text]:
    """The bar below all panels, the mark that moves along it, and the text above it."""
    width, height = figure.get_size_inches() * INCH
    axis = figure.add_axes((0.1, 8 / height, 0.8, 8 / height))
    first, last = int(iterations[0]), max(int(iterations[-1]), int(iterations[0]) + 1)
    axis.set(xlim=(first, last), ylim=(-1, 1))
    axis.set_axis_off()
    axis.axhspan(-0.5, 0.5, color=FAINT, linewidth=0)
    if first < warmup_iter:
        axis.axvspan(first, min(warmup_iter, last), 0.25, 0.75, color=MUTED, linewidth=0, alpha=0.5)
    (now,) = axis.plot([last], [0], "o", color=COLOURS[1], markersize=6, clip_on=False)
    return now, figure.text(0.5, 17 / height, "", ha="center", va="bottom")
