"""Training curves, as in Figures 4, 8 and 10 of the CVPR paper."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure, set_legend, set_title
from caffe_acu.plots.style import MUTED, PAGE, Size, styled

_MOST_MARKERS = 40  # with more tests, markers would hide the line
_WIDTHS = (2.2, 1.2)  # of the lines of the first run, and of others, which may lie upon it
_OVER_THE_END = 3  # the scale of errors ends at so many times the last ones, or the end could not be read


class Curves(Protocol):
    """Of a run, such as :class:`caffe_acu.training_log.TrainingLog`."""

    @property
    def iterations(self) -> np.ndarray:
        """(T,)"""

    @property
    def loss(self) -> np.ndarray:
        """(T,)"""

    @property
    def test_iterations(self) -> np.ndarray:
        """(U,)"""

    @property
    def test_error(self) -> np.ndarray:
        """(U,) percent"""


@styled
def training_curves(
    runs: Mapping[str, Curves],
    title: str = "",
    warmup_iter: int = 0,
    rate_drops: Sequence[int] = (),
    size: Size = PAGE,
) -> Figure:
    """Training loss (solid, left scale) and test error (dashed, right scale) of several runs.

    ``warmup_iter``: the iterations for which positions stayed put, shaded; 0: none. ``rate_drops``: iterations at
    which the learning rate drops.
    """
    figure = new_figure(size.width, size.height or 0.45 * size.width + 1.2)
    losses = figure.subplots()
    errors = losses.twinx()
    handles = []
    for i, ((name, run), colour) in enumerate(zip(runs.items(), COLOURS, strict=False)):
        width = _WIDTHS[min(i, 1)]
        # The raw loss of single batches, and its mean over up to nine records as the line to follow.
        losses.plot(run.iterations, run.loss, color=colour, alpha=0.25, linewidth=0.8)
        handles += losses.plot(run.iterations, _smooth(run.loss), color=colour, linewidth=width, label=f"{name}: loss")
        style = "--o" if len(run.test_iterations) <= _MOST_MARKERS else "--"
        handles += errors.plot(
            run.test_iterations,
            run.test_error,
            style,
            color=colour,
            linewidth=width,
            markersize=2 * width,
            label=f"{name}: test error",
        )
    if warmup_iter:
        losses.axvspan(0, warmup_iter, color="#f2f2f2", zorder=0)
        handles.append(losses.axvline(warmup_iter, color=MUTED, linestyle=":", label="end of the warm-up"))
    drops = [
        losses.axvline(at, color="#a0a0a0", linewidth=0.8, label="drops of the learning rate") for at in rate_drops
    ]
    handles += drops[:1]
    losses.set_xlabel("iteration")
    losses.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    losses.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    losses.set_ylabel("training loss")
    losses.set_ylim(bottom=0)
    losses.set_xlim(0, max((one.iterations[-1] for one in runs.values() if len(one.iterations)), default=None))
    errors.set_ylabel("test error (%)")
    errors.set_ylim(0, _top(runs))
    losses.grid()
    # Below the axes, in which the curves may be anywhere; a column for each run.
    set_legend(figure, handles, len(runs) + bool(warmup_iter or drops), size, together=2)
    set_title(figure, title)
    return figure


def _top(runs: Mapping[str, Curves]) -> float:
    """Of the scale of errors."""
    last = [run.test_error[np.isfinite(run.test_error)][-1:] for run in runs.values()]
    return min(100.0, _OVER_THE_END * max(np.concatenate(last), default=100.0) or 100.0)


def _smooth(values: np.ndarray, width: int = 9) -> np.ndarray:
    # Near the ends the mean is over the part of the window that there is.
    window = np.ones(min(width, max(len(values), 1)))
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
