"""The plane in which synapses lie, as axes."""

import math

import numpy as np
from matplotlib.axes import Axes

MARGIN = 0.6  # pixels around the outermost synapse


def draw_pixel_plane(axis: Axes, reach: float) -> None:
    """The square up to ``reach`` pixels from the origin, y downwards as in an image; a line for each row and column of
    pixels, a cross at the origin."""
    axis.set(xlim=(-reach, reach), ylim=(reach, -reach), aspect="equal")
    lattice = np.arange(-math.floor(reach), math.floor(reach) + 1)
    axis.set_xticks(lattice)
    axis.set_yticks(lattice)
    axis.tick_params(labelsize=5, length=0, colors="#808080")
    axis.grid(color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in axis.spines.values():
        side.set_color("#d0d0d0")
    axis.plot([0], [0], "+", color="black", markersize=11, markeredgewidth=0.8, zorder=2)
