"""Shapes in the course of training, as a GIF or a film."""

import io
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from PIL import Image

from caffe_acu.errors import UserError
from caffe_acu.evenly import evenly
from caffe_acu.net_param import write_atomically
from caffe_acu.plots.colours import COLOURS, GREY
from caffe_acu.plots.panels import panels, reach_of
from caffe_acu.plots.shapes import FIXED, LEAST, dot_size, draw_starts, set_name, with_sets
from caffe_acu.plots.style import FAINT, INCH, MUTED, PAGE, Size, styled
from caffe_acu.positions import LayerSeries

ANIMATIONS = (".gif", ".mp4")
_MOMENTS, _MOST_PANELS = 120, 20
_BAR = 30  # points below the panels, for the course of the training
_PIXELS_PER_INCH = 130
_COLOURS_OF_A_GIF = 128
_SHORTEST, _LONGEST = 0.04, 1.0  # seconds of a moment
_AT_THE_END = 2.0  # seconds for which a GIF shows the last moment before it begins anew


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

    def pictures(self) -> Iterator[Image.Image]:
        """RGB, of all moments."""
        moving = [artist for one in self._sets for artist in one.artists] + [self._now, self._text]
        self.figure.set_dpi(_PIXELS_PER_INCH)
        for artist in moving:
            artist.set_animated(True)  # left out of the background, which is drawn once
        canvas = self.figure.canvas
        canvas.draw()
        background = canvas.copy_from_bbox(self.figure.bbox)
        for moment in range(len(self.iterations)):
            self.show(moment)
            canvas.restore_region(background)
            for artist in moving:
                self.figure.draw_artist(artist)
            yield Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


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


@styled
def save_animation(animation: Animation, path: str | Path, seconds: float = 10) -> None:
    """Writes it as .gif, or with ffmpeg as .mp4, whole or not at all, to last about so long.

    UserError for another suffix, where there is no ffmpeg or it fails, and where the file cannot be written.
    """
    path = Path(path)
    check_animation(path)
    each = min(_LONGEST, max(_SHORTEST, seconds / len(animation.iterations)))
    content = _as_gif(animation, each) if path.suffix == ".gif" else _as_mp4(animation, each, path)
    write_atomically(path, content)


def check_animation(path: Path) -> None:
    """UserError unless such a file can be made here."""
    if path.suffix not in ANIMATIONS:
        raise UserError(f"{path}: an animation is written as {' or '.join(ANIMATIONS)}")
    if path.suffix == ".mp4" and not shutil.which("ffmpeg"):
        raise UserError(f"{path}: needs ffmpeg, which is not there: install it, or write a .gif")


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


def _as_gif(animation: Animation, each: float) -> bytes:
    pictures = list(animation.pictures())
    # One palette for all: what stands still stays the same, and costs nothing.
    frames = [_in_palette(picture, _palette(pictures[-1])) for picture in pictures]
    durations = [round(1000 * each)] * (len(frames) - 1) + [round(1000 * _AT_THE_END)]
    content = io.BytesIO()
    frames[0].save(content, "GIF", save_all=True, append_images=frames[1:], duration=durations, loop=0)
    return content.getvalue()


def _palette(picture: Image.Image) -> np.ndarray:
    """(n, 3) its most frequent colours."""
    found = sorted(picture.getcolors(picture.width * picture.height), reverse=True)
    return np.array([colour for _, colour in found[:_COLOURS_OF_A_GIF]], np.uint8)


def _in_palette(picture: Image.Image, palette: np.ndarray) -> Image.Image:
    """Colours of the palette stay exactly what they are, which Pillow's own way does not care for."""
    of_palette = Image.new("P", (1, 1))
    of_palette.putpalette(palette.tobytes())
    nearest = picture.quantize(palette=of_palette, dither=Image.Dither.NONE)
    codes, known = (np.asarray(values).astype(np.int64) @ (1 << 16, 1 << 8, 1) for values in (picture, palette))
    order = np.argsort(known)
    place = order[np.searchsorted(known, codes, sorter=order).clip(max=len(known) - 1)]
    exact = known[place] == codes
    kept = Image.fromarray(np.where(exact, place, np.asarray(nearest)).astype(np.uint8), "P")
    kept.putpalette(palette.tobytes())
    return kept


def _as_mp4(animation: Animation, each: float, path: Path) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        film = Path(folder) / "film.mp4"  # ffmpeg goes back in it, which a pipe does not allow
        pictures = list(animation.pictures())
        line = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        line += ["-s", "{}x{}".format(*pictures[0].size), "-r", f"{1 / each:.3f}", "-i", "-"]
        # What every player shows: even sides, and colours at half of the resolution.
        line += ["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(film)]
        done = subprocess.run(line, input=b"".join(picture.tobytes() for picture in pictures), capture_output=True)
        if done.returncode or not film.is_file():
            reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            raise UserError(f"{path}: ffmpeg failed: {reason[0]}; write a .gif")
        return film.read_bytes()
