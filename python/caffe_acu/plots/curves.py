"""Training curves, as in Figures 4 and 8 of the CVPR paper."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure
from caffe_acu.training_log import TrainingLog


def training_curves(runs: Mapping[str, TrainingLog], title: str = "") -> Figure:
    """Training loss (solid, left scale) and test error (dashed, right scale) of several runs."""
    figure = new_figure(6.5, 4)
    losses = figure.subplots()
    errors = losses.twinx()
    for (name, log), colour in zip(runs.items(), COLOURS, strict=False):
        # The raw loss of single batches, and its mean over up to nine records as the line to follow.
        losses.plot(log.iterations, log.loss, color=colour, alpha=0.25, linewidth=0.8)
        losses.plot(log.iterations, _smooth(log.loss), color=colour, label=f"{name}: loss")
        errors.plot(log.test_iterations, log.test_error, "--o", color=colour, markersize=3, label=f"{name}: test error")
    losses.set_xlabel("iteration")
    losses.set_ylabel("training loss")
    losses.set_ylim(bottom=0)
    errors.set_ylabel("test error (%)")
    errors.set_ylim(0, 100)
    losses.grid(color="#eeeeee")
    handles = [*losses.get_legend_handles_labels()[0], *errors.get_legend_handles_labels()[0]]
    losses.legend(handles=handles, fontsize=8, loc="upper right")
    if title:
        losses.set_title(title, fontsize=10)
    return figure


def _smooth(values: np.ndarray, width: int = 9) -> np.ndarray:
    # Near the ends the mean is over the part of the window that there is.
    window = np.ones(min(width, max(len(values), 1)))
    return np.convolve(values, window, "same") / np.convolve(np.ones(len(values)), window, "same")
