"""Where synapses start: the lattice of a convolution and the ring of the authors. NumPy only.

Coordinates are input pixels: x to the right, y down, from the base point of the convolution.
"""

import math

import numpy as np

Pair = tuple[int, int]  # height and width, or row and column


def lattice(kernel: Pair, dilation: tuple[float, float] = (1, 1)) -> tuple[np.ndarray, np.ndarray]:
    """x and y of a convolution's taps in raster order, from the tap (kh div 2, kw div 2); (K,) each."""
    i, j = np.mgrid[: kernel[0], : kernel[1]]
    x = (j - kernel[1] // 2) * float(dilation[1])
    y = (i - kernel[0] // 2) * float(dilation[0])
    return x.ravel(), y.ravel()


def ring(synapses: int, radius: float, angle: float, rounded: bool) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the authors' start: synapse 0 at (0, 0), the others evenly on a ring; (K,) each.

    ``angle``, in radians, is that of synapse 1, from the x axis towards y (downwards).
    """
    points = [(0.0, 0.0)]
    for i in range(1, synapses):
        t = 2 * math.pi * (i - 1) / (synapses - 1) + angle
        points.append((radius * math.cos(t), radius * math.sin(t)))
    x, y = np.array(points).T
    return (_round(x), _round(y)) if rounded else (x, y)


def _round(values: np.ndarray) -> np.ndarray:
    # Halves away from zero, as std::round does (np.round takes them to even); + 0.0 makes -0 a 0.
    return np.trunc(values + np.copysign(0.5, values)) + 0.0
