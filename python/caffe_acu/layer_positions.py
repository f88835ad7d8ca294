"""Where the synapses of a layer are, at one moment or over a training, as arrays.

Coordinates are input pixels: x = alpha to the right, y = beta down, from the base point of the convolution.
Arrays are float64; (sets, K) has a row for each position set of the layer, a column for each synapse.
"""

from dataclasses import dataclass

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.start_shapes import Pair


@dataclass(frozen=True)
class LayerPositions:
    """Where the synapses of a layer are, and where they started."""

    layer: str
    type: str  # one of ACTIVE_TYPES
    x: np.ndarray  # (sets, K)
    y: np.ndarray  # (sets, K)
    # From a net: (K,), the same for every set, without the noise a layer may add. From a series: (sets, K).
    start_x: np.ndarray
    start_y: np.ndarray
    fixed: np.ndarray  # (sets,) index of the synapse that never moves, or -1
    kernel_size: Pair  # height, width
    warmup_iter: int = 0  # as far as the file tells: the authors' files do not
    stride: Pair | None = None  # height, width; None where a file cannot tell, such as a position log
    groups: int | None = None  # of the convolution; likewise

    @property
    def xy(self) -> np.ndarray:
        """(sets, K, 2) positions in pixels, x before y."""
        return np.stack([self.x, self.y], axis=-1)

    @property
    def free(self) -> np.ndarray:
        """(sets, K), true for every synapse that may move."""
        return np.arange(self.x.shape[1]) != self.fixed[:, None]

    @property
    def displacement(self) -> np.ndarray:
        """(sets, K) distance from the start, in pixels."""
        return np.hypot(self.x - self.start_x, self.y - self.start_y)

    @property
    def radius(self) -> np.ndarray:
        """(sets, K) distance from the base point, in pixels."""
        return np.hypot(self.x, self.y)

    @property
    def mean_displacement(self) -> float:
        return self._over_free(np.mean, self.displacement)

    @property
    def max_displacement(self) -> float:
        return self._over_free(np.max, self.displacement)

    @property
    def mean_radius(self) -> float:
        """Mean distance from the base point; a 3x3 lattice has (4 + 4 sqrt 2) / 8 = 1.207."""
        return self._over_free(np.mean, self.radius)

    @property
    def max_radius(self) -> float:
        return self._over_free(np.max, self.radius)

    def _over_free(self, statistic, values: np.ndarray) -> float:
        return float(statistic(values[self.free])) if self.free.any() else 0.0


@dataclass(frozen=True)
class LayerSeries:
    """The positions of a layer at T moments of one run: its snapshots, or the records of its position log."""

    layer: str
    type: str  # one of ACTIVE_TYPES
    iterations: np.ndarray  # (T,) ascending
    x: np.ndarray  # (T, sets, K)
    y: np.ndarray  # (T, sets, K)
    fixed: np.ndarray  # (sets,), as in the last moment
    kernel_size: Pair  # height, width
    warmup_iter: int
    stride: Pair | None = None  # as in LayerPositions
    groups: int | None = None

    @property
    def xy(self) -> np.ndarray:
        """(T, sets, K, 2) positions in pixels, x before y."""
        return np.stack([self.x, self.y], axis=-1)

    @property
    def last(self) -> LayerPositions:
        """The last moment, with the first as its start."""
        return self._moment(-1)

    def at(self, iteration: int) -> LayerPositions:
        """The moment of an iteration, with the first as its start; UserError if there is none."""
        place = int(np.searchsorted(self.iterations, iteration))
        if place == len(self.iterations) or self.iterations[place] != iteration:
            near = self.iterations[max(place - 1, 0) : place + 1]
            raise UserError(f"no positions of iteration {iteration}; there are those of {' and '.join(map(str, near))}")
        return self._moment(place)

    def _moment(self, place: int) -> LayerPositions:
        return LayerPositions(
            layer=self.layer,
            type=self.type,
            x=self.x[place],
            y=self.y[place],
            start_x=self.x[0],
            start_y=self.y[0],
            fixed=self.fixed,
            kernel_size=self.kernel_size,
            warmup_iter=self.warmup_iter,
            stride=self.stride,
            groups=self.groups,
        )
