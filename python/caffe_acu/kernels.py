"""Active convolutions as convolutions, and convolutions as active ones: Theorem 2 and Lemma 1 of the grouped paper.

Sampling is bilinear, so a weight at a real-valued position acts like four weights on the pixels around it, its
shares in them those of the sampling. Added up over the synapses they are the kernel of an ordinary convolution,
larger and with many zeros (appendix A, equations 8 to 17).

Positions are input pixels, x = alpha to the right, y = beta down, from the base point of the convolution; pairs are
(row, column) or (height, width). All sums are in float64. Nothing here needs Caffe.
"""

import math
from dataclasses import dataclass

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.start_shapes import Pair, lattice

_FARTHEST = 2**20  # pixels; no image is as large
_LARGEST = 2**28  # values of a dense kernel: 2 GiB


@dataclass(frozen=True)
class PaddedKernel:
    """A kernel in the form of a Caffe Convolution, to be run with the stride of the layer it stands for."""

    weight: np.ndarray  # (D, C / groups, kh, kw), float64
    pad: Pair
    groups: int


@dataclass(frozen=True)
class Window:
    """Size and pad of a Convolution's kernel, and where in it the taps of a box begin."""

    before: Pair  # rows above the box and columns to the left of it
    size: Pair
    pad: Pair


@dataclass(frozen=True)
class DenseKernel:
    """The extrapolated weights of Theorem 2, no larger than the positions of all sets together ask for."""

    weight: np.ndarray  # (D, C / groups, H, W), float64
    origin: Pair  # of tap [0, 0]: pixels down and to the right of the base point
    groups: int

    def padded(self, extent: Pair, pad: Pair, centre: Pair | None = None) -> PaddedKernel:
        """The smallest Convolution that does the same as the layer, borders and output size included.

        ``extent``, ``pad`` and ``centre`` are those of the active layer: what its output size is computed from, its
        padding, and its base point within the extent (default: extent div 2, as without dilation). An odd extent
        gives taps -a to a around the base point, an even one -a to a - 1, with a large enough for all of them and
        for a padding that is not negative.
        """
        window = smallest_window(self.origin, self.weight.shape[2:], extent, pad, centre)
        widths = [
            (before, size - before - taps)
            for before, size, taps in zip(window.before, window.size, self.weight.shape[2:], strict=True)
        ]
        return PaddedKernel(np.pad(self.weight, [(0, 0), (0, 0), *widths]), window.pad, self.groups)


@dataclass(frozen=True)
class ActiveKernel:
    """Weights with positions: an active convolution of one position set."""

    weight: np.ndarray  # (D, C / groups, K), float64
    x: np.ndarray  # (1, K)
    y: np.ndarray  # (1, K)


@dataclass(frozen=True)
class KernelStatistics:
    """What the convolution looks like that a layer's positions are equivalent to, whatever the weights."""

    size: Pair  # height and width of the box around the taps of all sets
    origin: Pair  # of the box: pixels down and to the right of the base point
    taps: int  # pixels that a synapse of any set takes part of its sample from
    taps_of_set: np.ndarray  # (sets,) the same for each set

    @property
    def sparsity(self) -> float:
        """Share of the dense kernel that no synapse reaches, from 0 to 1; every set has as many channels."""
        return 1 - float(self.taps_of_set.mean()) / math.prod(self.size)


def extrapolate(weight: np.ndarray, x: np.ndarray, y: np.ndarray, groups: int = 1) -> DenseKernel:
    """The dense kernel of an ACU or a GroupedACU (Theorem 2): sets divide the input channels.

    Args:
        weight: (D, C / groups, K) or (D, C / groups, kh, kw).
        x, y: (sets, K) or (sets, 1, kh, kw); input channel c of C has the positions of set floor(c sets / C).
        groups: of the convolution; they need not fit the sets.

    UserError if the sizes do not fit each other, a position is not finite or out of all proportion, or the dense
    kernel would have more than 2^28 values.
    """
    weight, x, y = _weights(weight), *_positions(x, y)
    outputs, per_group, _ = weight.shape
    channels, sets = per_group * groups, len(x)
    if groups < 1 or outputs % groups:
        raise UserError(f"{outputs} outputs cannot be divided into {groups} groups")
    if channels % sets:
        raise UserError(f"{channels} input channels cannot be divided into {sets} position sets")
    return _extrapolate(weight, x, y, input_sets(weight.shape[:2], groups, sets), groups)


def extrapolate_output_sets(weight: np.ndarray, x: np.ndarray, y: np.ndarray) -> DenseKernel:
    """The dense kernel of an AConvFast layer: one group, and sets divide the OUTPUT channels.

    As :func:`extrapolate`; output d of D has the positions of set floor(d sets / D).
    """
    weight, x, y = _weights(weight), *_positions(x, y)
    outputs, channels, _ = weight.shape
    if outputs % len(x):
        raise UserError(f"{outputs} outputs cannot be divided into {len(x)} position sets")
    return _extrapolate(weight, x, y, output_sets(weight.shape[:2], len(x)), groups=1)


def input_sets(pairs: Pair, groups: int, sets: int) -> np.ndarray:
    """(D, C / groups), the position set of each pair of an output and an input, where sets divide the inputs."""
    outputs, per_group = pairs
    group = np.arange(outputs) // (outputs // groups)
    channel = group[:, None] * per_group + np.arange(per_group)
    return channel * sets // (per_group * groups)


def output_sets(pairs: Pair, sets: int) -> np.ndarray:
    """As :func:`input_sets`, where sets divide the outputs: (D, C)."""
    outputs, channels = pairs
    return np.repeat(np.arange(outputs) * sets // outputs, channels).reshape(outputs, channels)


def smallest_window(origin: Pair, size: Pair, extent: Pair, pad: Pair, centre: Pair | None = None) -> Window:
    """The window of :meth:`DenseKernel.padded` for a box of taps, as of :func:`statistics`, without the weights."""
    centre = (extent[0] // 2, extent[1] // 2) if centre is None else centre
    rows, columns = (_symmetric(origin[i], size[i], extent[i], centre[i], pad[i]) for i in (0, 1))
    return Window(*zip(rows, columns, strict=True))


def as_active(weight: np.ndarray, dilation: Pair = (1, 1)) -> ActiveKernel:
    """A convolution's kernel (D, C / groups, kh, kw) as an ACU (Lemma 1): its weights, on the lattice of its taps."""
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim != 4 or not weight.size:
        raise UserError(f"weights of shape {weight.shape}; (outputs, channels per group, kh, kw) was expected")
    x, y = lattice(weight.shape[2:], dilation)
    return ActiveKernel(_weights(weight), x[None], y[None])


def statistics(x: np.ndarray, y: np.ndarray) -> KernelStatistics:
    """Size and taps of the dense kernel for positions (sets, K) or (sets, 1, kh, kw); UserError as above."""
    taps = _taps(*_positions(x, y))
    sets = np.nonzero(taps.touched)[0]
    reached = np.unique(np.stack([sets, taps.rows[taps.touched], taps.columns[taps.touched]]), axis=1)
    origin, size = taps.box()
    return KernelStatistics(
        size=size,
        origin=origin,
        taps=np.unique(reached[1:], axis=1).shape[1],
        taps_of_set=np.bincount(reached[0], minlength=len(taps.rows)),
    )


@dataclass(frozen=True)
class _Taps:
    """The pixels Q11, Q21, Q12 and Q22 (equation 9) around each synapse; arrays of (sets, K, 4)."""

    rows: np.ndarray  # int, from the base point
    columns: np.ndarray
    shares: np.ndarray  # of the synapse's weight, equation 13
    touched: np.ndarray  # share is not 0; between pixels four are, on a pixel one

    def box(self) -> tuple[Pair, Pair]:
        """First row and column, and height and width, of the smallest box around all taps that are touched."""
        rows, columns = self.rows[self.touched], self.columns[self.touched]
        first = (int(rows.min()), int(columns.min()))
        return first, (int(rows.max()) - first[0] + 1, int(columns.max()) - first[1] + 1)


def _taps(x: np.ndarray, y: np.ndarray) -> _Taps:
    left, above = np.floor(x), np.floor(y)
    a, b = x - left, y - above  # equation 10
    shares = np.stack([(1 - a) * (1 - b), a * (1 - b), (1 - a) * b, a * b], axis=-1)
    return _Taps(
        rows=np.stack([above, above, above + 1, above + 1], axis=-1).astype(np.int64),
        columns=np.stack([left, left + 1, left, left + 1], axis=-1).astype(np.int64),
        shares=shares,
        touched=shares > 0,
    )


def _extrapolate(weight: np.ndarray, x: np.ndarray, y: np.ndarray, set_of: np.ndarray, groups: int) -> DenseKernel:
    # set_of: (D, C / groups), the set whose positions a pair of an output and an input has.
    synapses = x.shape[1]
    if weight.shape[2] != synapses:
        raise UserError(f"weights for {weight.shape[2]} synapses, positions for {synapses}")
    taps = _taps(x, y)
    (top, left), size = taps.box()
    shape = (*set_of.shape, *size)
    if math.prod(shape) > _LARGEST:
        raise UserError(f"the dense kernel would be of shape {shape}, more than {_LARGEST} values")
    dense = np.zeros(shape)
    for s in range(len(x)):
        touched, pairs = taps.touched[s], set_of == s
        # What one unit of each synapse's weight adds to the kernel; summed up, equation 15.
        spread = np.zeros((synapses, *size))
        rows, columns = taps.rows[s][touched] - top, taps.columns[s][touched] - left
        spread[np.nonzero(touched)[0], rows, columns] = taps.shares[s][touched]
        dense[pairs] = np.tensordot(weight[pairs], spread, axes=1)
    return DenseKernel(dense, (top, left), groups)


def _symmetric(origin: int, taps: int, extent: int, centre: int, pad: int) -> tuple[int, int, int]:
    """Zeros before the first tap, kernel size and pad, on one axis, of the Convolution that replaces a layer.

    With ``a`` taps before the base point, the base point of the first output stays where it is if pad - centre does,
    and the output size stays if 2 pad - size does. The first asks for a pad of a - (centre - pad), the second
    then for a size of 2 a + 1, less ``short``, which is 1 for an even kernel.
    """
    short = 2 * centre + 1 - extent
    a = max(-origin, origin + taps - 1 + short, centre - pad, (short + 1) // 2, 0)
    return a + origin, 2 * a + 1 - short, a - (centre - pad)


def _weights(weight: np.ndarray) -> np.ndarray:
    weight = np.asarray(weight, dtype=np.float64)
    if weight.ndim not in (3, 4) or not weight.size:
        raise UserError(
            f"weights of shape {weight.shape}; (outputs, channels per group, K) or (.., kh, kw) was expected"
        )
    return weight.reshape(*weight.shape[:2], -1)


def _positions(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.asarray(values, dtype=np.float64) for values in (x, y))
    if x.shape != y.shape or x.ndim not in (2, 4) or math.prod(x.shape[1:-2]) != 1 or not x.size:
        raise UserError(f"positions of shapes {x.shape} and {y.shape}; (sets, K) or (sets, 1, kh, kw) was expected")
    x, y = (values.reshape(len(values), -1) for values in (x, y))
    wrong = ~((np.abs(x) <= _FARTHEST) & (np.abs(y) <= _FARTHEST))  # NaN included
    if wrong.any():
        s, k = np.argwhere(wrong)[0]
        raise UserError(
            f"synapse {k} of set {s} is at ({x[s, k]:g}, {y[s, k]:g}); a finite position of at most "
            f"{_FARTHEST} pixels was expected"
        )
    return x, y
