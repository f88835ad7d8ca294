"""Dense kernels too wide to be used as they are: fewer taps, or the same taps in several dilated convolutions.

A single synapse far from the others makes the kernel of Theorem 2 large and nearly empty. Either its smallest taps
are dropped, which changes the outputs by no more than a known amount, or the taps are divided among Convolutions
with dilation whose sum is the layer exactly. Nothing here needs Caffe.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.kernels import DenseKernel, PaddedKernel
from caffe_acu.start_shapes import Pair

# Bounds of the search for dilated convolutions, which then takes seconds at most, wherever the taps are.
_MOST_PARTS = 256
_MOST_PROGRESSIONS = 512  # of one axis
_MOST_DISTANCES = 1024  # of one axis

# What covering a tap may cost, in taps computed, in one run of the greedy search each: a low price asks for full
# convolutions, which may be small ones, a high one allows large ones with gaps. Which is better shows in the end.
_PRICES = (1.5, 3.0)


@dataclass(frozen=True)
class Pruned:
    """A kernel without its smallest taps, and what that can do to the outputs."""

    kernel: DenseKernel  # no larger than the taps left ask for
    rows: slice  # left of the kernel before
    columns: slice
    dropped: int  # taps that were not 0, over all pairs of an output and a channel
    largest_change: float  # of any output, if no input is above 1 in absolute value


@dataclass(frozen=True)
class DilatedKernel(PaddedKernel):
    """One of the Caffe Convolutions that are added up to a layer, to be run with the stride of the layer."""

    dilation: Pair


@dataclass(frozen=True)
class FarSynapse:
    """A synapse that no other one lies beyond, on one side."""

    side: str  # above, below, left or right
    set: int
    synapse: int
    x: float
    y: float

    def __str__(self) -> str:
        return f"synapse {self.synapse} of set {self.set} at ({self.x:.4g}, {self.y:.4g})"


def prune(kernel: DenseKernel, threshold: float) -> Pruned:
    """The kernel without the taps below ``threshold``, a share of its largest one, cut to the box of the others.

    Taps of 0 at the border of the box go with a threshold of 0 already; one tap always stays. UserError if the
    threshold is not at least 0 and below 1.
    """
    if not 0 <= threshold < 1:
        raise UserError(f"a threshold of {threshold:g}; at least 0 and less than 1 was expected")
    size = np.abs(kernel.weight)
    small = size < threshold * size.max()
    weight = np.where(small, 0, kernel.weight)
    present = _present(DenseKernel(weight, kernel.origin, kernel.groups))
    rows, columns = _span(present.any(axis=1)), _span(present.any(axis=0))
    return Pruned(
        kernel=DenseKernel(
            weight[:, :, rows, columns].copy(),
            (kernel.origin[0] + rows.start, kernel.origin[1] + columns.start),
            kernel.groups,
        ),
        rows=rows,
        columns=columns,
        dropped=np.count_nonzero(size[small]),
        largest_change=float(np.where(small, size, 0).sum(axis=(1, 2, 3)).max()),
    )


def _present(kernel: DenseKernel) -> np.ndarray:
    """Which taps (H, W) are not 0 for some pair; of a kernel of zeros the one nearest to the base point."""
    present = kernel.weight.any(axis=(0, 1))
    if not present.any():
        near = [min(max(-first, 0), size - 1) for first, size in zip(kernel.origin, present.shape, strict=True)]
        present[tuple(near)] = True
    return present


def _span(present: np.ndarray) -> slice:
    first, last = np.flatnonzero(present)[[0, -1]]
    return slice(int(first), int(last) + 1)


def cost(kernels: Iterable[PaddedKernel]) -> int:
    """Taps computed for each pair of an output and a channel: of one kernel H W, of several their sum."""
    return sum(math.prod(kernel.weight.shape[2:]) for kernel in kernels)


def farthest(x: np.ndarray, y: np.ndarray) -> tuple[FarSynapse, ...]:
    """Above, below, left and right of all others, for positions (sets, K) or (sets, 1, kh, kw)."""
    x, y = (np.asarray(values, dtype=np.float64).reshape(len(values), -1) for values in (x, y))
    found = []
    for side, beyond in (("above", -y), ("below", y), ("left", -x), ("right", x)):
        s, k = (int(index) for index in np.unravel_index(beyond.argmax(), beyond.shape))
        found.append(FarSynapse(side, s, k, float(x[s, k]), float(y[s, k])))
    return tuple(found)


def dilated(kernel: DenseKernel, extent: Pair, pad: Pair, centre: Pair | None = None) -> list[DilatedKernel]:
    """Convolutions whose outputs add up to the layer's, borders and output size included, and take few taps.

    ``extent``, ``pad`` and ``centre`` as for :meth:`DenseKernel.padded`. Each tap that is not 0 for every pair of an
    output and a channel is in exactly one of them. They are at most 256. A greedy search keeps the taps computed few,
    not fewest; where it finds nothing better, the dense kernel comes alone.
    """
    centre = (extent[0] // 2, extent[1] // 2) if centre is None else centre
    taps = np.argwhere(_present(kernel))
    offsets = taps + kernel.origin
    axes = [_Axis.of(offsets[:, i], 2 * centre[i] + 1 - extent[i], centre[i] - pad[i]) for i in (0, 1)]
    # An Eltwise layer adds up the outputs: one operation for each output, however many channels it is of.
    chosen = _cover(axes, addition=1 / kernel.weight.shape[1])
    parts = []
    free = np.ones(len(taps), dtype=bool)
    for pair in chosen:
        own = free & axes[0].holds[pair[0], axes[0].of_tap] & axes[1].holds[pair[1], axes[1].of_tap]
        free &= ~own
        first, step, size = zip(*(axis.progression(i) for axis, i in zip(axes, pair, strict=True)), strict=True)
        weight = np.zeros((*kernel.weight.shape[:2], *size))
        rows, columns = ((offsets[own] - first) // step).T
        weight[:, :, rows, columns] = kernel.weight[:, :, taps[own, 0], taps[own, 1]]
        pads = tuple(pad[i] - centre[i] - first[i] for i in (0, 1))
        parts.append(DilatedKernel(weight, pads, kernel.groups, step))
    return parts


@dataclass(frozen=True)
class _Axis:
    """The rows, or columns, that a dilated convolution can have its taps in.

    Where the base point and the output size are to stay, they lie evenly on both sides of ``-short`` / 2, ``short``
    as in kernels.py: 0 for an odd extent, 1 for an even one. So of an offset only the distance from there matters,
    in half pixels: abs(2 offset + short). A convolution of size k with dilation d has distances of an even number
    times d if k is odd, of an odd number times d if k is even, (k - 1) d the largest.
    """

    short: int
    of_tap: np.ndarray  # (taps,) index of the tap's distance in those present
    dilations: np.ndarray  # (n,)
    sizes: np.ndarray  # (n,)
    holds: np.ndarray  # (n, distances present), bool

    @classmethod
    def of(cls, offsets: np.ndarray, short: int, before: int) -> "_Axis":
        """``before``: pixels by which the first tap must lie before the base point, for a pad that is not negative."""
        present, of_tap = np.unique(np.abs(2 * offsets + short), return_inverse=True)
        found: dict[bytes, tuple[int, int, np.ndarray]] = {}
        for size, dilation, holds in _progressions(present, max(2 * before - short, 0)):
            key = holds.tobytes()
            if key not in found or (size, dilation) < found[key][:2]:
                found[key] = (size, dilation, holds)
        sizes, dilations, holds = (np.array(values) for values in zip(*found.values(), strict=True))
        kept = _promising(sizes, dilations, holds, np.bincount(of_tap))
        return cls(short, of_tap, dilations[kept], sizes[kept], holds[kept])

    def progression(self, index: int) -> tuple[int, int, int]:
        """Offset of the first tap, dilation and size."""
        dilation, size = int(self.dilations[index]), int(self.sizes[index])
        return -(dilation * (size - 1) + self.short) // 2, dilation, size

    def smallest(self, needed: np.ndarray) -> int:
        """The progression of smallest size that has all the distances ``needed``; the dense one has."""
        return int(self.holds[:, needed].all(axis=1).argmax())


def _progressions(present: np.ndarray, reach: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Size, dilation, and which of the distances ``present`` it has, of each convolution worth a thought.

    For each dilation, those that end at a distance present, and the smallest that reaches ``reach``; of very many
    distances, only the dense one.
    """
    if len(present) > _MOST_DISTANCES:
        dilations, reach = {1}, max(reach, int(present[-1]))
    else:
        dilations = {1, max(1, -(-reach // 2))} | _divisors(present[present > 0])
    for dilation in sorted(dilations):
        for odd in (0, 1):  # whether the distances are odd multiples of the dilation, and the size is even
            multiple, rest = np.divmod(present, dilation)
            hits = (rest == 0) & (multiple % 2 == odd)
            least = -(-reach // dilation)
            least += (least + odd) % 2
            for last in sorted({max(int(m), least) for m in multiple[hits]}):
                yield last + 1, dilation if last else 1, hits & (multiple <= last)


def _divisors(numbers: np.ndarray) -> set[int]:
    found: set[int] = set()
    for small in range(1, math.isqrt(int(numbers.max(initial=0))) + 1):
        divided = numbers[numbers % small == 0]
        if len(divided):
            found.update((divided // small).tolist(), [small])
    return found


def _promising(sizes: np.ndarray, dilations: np.ndarray, holds: np.ndarray, taps: np.ndarray) -> np.ndarray:
    """Which progressions to search in, ordered by size: a bounded number, those with many taps, and for their size.

    The dense one, and the smallest for each distance, are among them.
    """
    order = np.lexsort((dilations, sizes))
    sizes, holds = sizes[order], holds[order]
    kept = {int(holds.all(axis=1).argmax()), *holds.argmax(axis=0).tolist()}
    for index in np.argsort(-((holds @ taps) ** 2) / sizes, kind="stable"):
        if len(kept) >= _MOST_PROGRESSIONS:
            break
        kept.add(int(index))
    return order[sorted(kept)]


def _cover(axes: list[_Axis], addition: float) -> list[Pair]:
    """Pairs of progressions, of rows and of columns, that together have all taps; the best of some searches."""
    taps = np.zeros([axis.holds.shape[1] for axis in axes], dtype=np.float32)
    np.add.at(taps, (axes[0].of_tap, axes[1].of_tap), 1)
    costs = np.outer(axes[0].sizes, axes[1].sizes) + addition
    covers = [_needed(axes, costs, taps, _search(axes, costs, taps, price)) for price in _PRICES]
    return min(covers, key=lambda pairs: sum(costs[pair] for pair in pairs))


def _search(axes: list[_Axis], costs: np.ndarray, taps: np.ndarray, price: float) -> list[Pair]:
    """Greedily the pair that covers most for its cost, and after the step where that is best, one for all the rest."""
    have = [axis.holds.astype(np.float32) for axis in axes]
    rest, gains = taps.copy(), have[0] @ taps @ have[1].T  # taps not covered yet: all, and those of each pair
    chosen, spent, best, least = [], 0.0, [], math.inf
    while rest.any():
        last = tuple(axis.smallest(rest.any(axis=1 - i)) for i, axis in enumerate(axes))
        if spent + costs[last] < least:
            best, least = [*chosen, last], spent + costs[last]
        if spent >= least or len(chosen) + 1 == _MOST_PARTS:
            return best
        worth = price * gains - costs
        if worth.max() <= 0:
            worth = gains / costs
        pair = tuple(int(index) for index in np.unravel_index(worth.argmax(), worth.shape))
        chosen.append(pair)
        spent += costs[pair]
        covered = _covered(axes, pair)
        gains -= have[0][:, covered[0].ravel()] @ rest[covered] @ have[1][:, covered[1].ravel()].T
        rest[covered] = 0
    return chosen if spent < least else best


def _needed(axes: list[_Axis], costs: np.ndarray, taps: np.ndarray, pairs: list[Pair]) -> list[Pair]:
    """The pairs without those whose taps the others have, too, the dearest dropped first."""
    times = np.zeros_like(taps)
    for pair in pairs:
        times[_covered(axes, pair)] += 1
    needed = []
    for pair in sorted(pairs, key=lambda pair: -costs[pair]):
        covered = _covered(axes, pair)
        if ((times[covered] == 1) & (taps[covered] > 0)).any():
            needed.append(pair)
        else:
            times[covered] -= 1
    return needed


def _covered(axes: list[_Axis], pair: Pair) -> tuple[np.ndarray, np.ndarray]:
    return np.ix_(*(np.flatnonzero(axis.holds[index]) for axis, index in zip(axes, pair, strict=True)))
