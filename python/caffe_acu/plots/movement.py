"""How positions move in the course of training, as in Figure 6 of the CVPR paper."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from caffe_acu.plots.colours import COLOURS
from caffe_acu.plots.figures import new_figure
from caffe_acu.positions import LayerSeries


def movement(series: Sequence[LayerSeries], title: str = "") -> Figure:
    """alpha and beta of every synapse over the iterations: a row per layer, a line per synapse (set 0)."""
    figure = new_figure(9, 2.6 * len(series) + 0.5)
    axes = figure.subplots(len(series), 2, squeeze=False, sharex=True)
    for row, layer in zip(axes, series, strict=True):
        for axis, values, symbol in ((row[0], layer.x, "alpha"), (row[1], layer.y, "beta")):
            for k in range(values.shape[2]):
                # The dash tells apart synapses beyond the palette's length.
                style = "-" if k < len(COLOURS) else "--"
                colour = COLOURS[k % len(COLOURS)]
                axis.plot(layer.iterations, values[:, 0, k], style, color=colour, linewidth=1.2, label=str(k))
            if 0 < layer.warmup_iter <= layer.iterations[-1]:
                axis.axvline(layer.warmup_iter, color="#808080", linestyle=":", linewidth=1)
            axis.set_ylabel(f"{symbol} (pixels)", fontsize=8)
            axis.set_title(layer.layer, fontsize=9)
            axis.grid(color="#eeeeee")
            axis.tick_params(labelsize=7)
    for axis in axes[-1]:
        axis.set_xlabel("iteration (dotted: end of the warm-up)", fontsize=8)
    axes[0, 1].legend(title="synapse", title_fontsize=7, fontsize=6, loc="center left", bbox_to_anchor=(1.01, 0.5))
    if title:
        figure.suptitle(title, fontsize=10)
    return figure
