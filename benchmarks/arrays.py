"""The arrays that all candidates of a layer share, from a seed: the environments cannot pass them to each other."""

from collections.abc import Sequence

import numpy as np
from shapes import DISPLACEMENT, KERNEL, NET_BATCH, NET_CLASSES, LayerCase

_SEED = 20170721


def _normal(stream: int, shape: Sequence[int], scale: float = 1.0) -> np.ndarray:
    return np.random.default_rng([_SEED, stream]).standard_normal(shape, dtype=np.float32) * np.float32(scale)


def layer_input(case: LayerCase) -> np.ndarray:
    return _normal(0, case.input_shape)


def output_gradient(case: LayerCase) -> np.ndarray:
    return _normal(1, case.output_shape)


def weights(case: LayerCase) -> np.ndarray:
    fan_in = case.channels // case.group * KERNEL**2
    return _normal(2, case.weight_shape, (2 / fan_in) ** 0.5)


def biases(case: LayerCase) -> np.ndarray:
    return _normal(6, (case.outputs,))


def positions(sets: int, moved: float = DISPLACEMENT, spread: int = 1) -> np.ndarray:
    """x and y of every synapse, (2, sets, K): a lattice, ``spread`` pixels apart, displaced; the origin is not."""
    offsets = (np.arange(KERNEL, dtype=np.float32) - KERNEL // 2) * spread
    lattice = np.stack([np.tile(offsets, KERNEL), np.repeat(offsets, KERNEL)])
    moves = np.random.default_rng([_SEED, 3, sets]).uniform(-moved, moved, (2, sets, KERNEL**2))
    moves[:, :, (lattice == 0).all(axis=0)] = 0
    return (lattice[:, None, :] + moves).astype(np.float32)


def layer_positions(case: LayerCase) -> np.ndarray:
    return positions(case.sets, case.moved, case.spread)


def net_input() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of the training iteration."""
    labels = np.random.default_rng([_SEED, 4]).integers(0, NET_CLASSES, NET_BATCH)
    return _normal(5, (NET_BATCH, 3, 32, 32)), labels


def digest(**results: np.ndarray | None) -> dict[str, list[float]]:
    """A few values, evenly spread, of each array, by which two candidates can be seen to compute the same."""
    values = {}
    for name, array in results.items():
        if array is not None:
            flat = np.asarray(array).reshape(-1)
            picked = flat[np.linspace(0, flat.size - 1, min(flat.size, 97)).astype(int)]
            values[name] = [float(value) for value in picked]
    return values


def moving(position_gradient: np.ndarray) -> np.ndarray:
    """The gradient of the displaced synapses only: on a lattice point, the origin, the derivative jumps."""
    return np.delete(position_gradient.reshape(-1, KERNEL**2), KERNEL**2 // 2, axis=1)
