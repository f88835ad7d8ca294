"""Images of our own making, in which the useful receptive field is known: see data/generated/README.md."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.data.layout import Split, require_space_for, write_data_set
from caffe_acu.data.options import Constellations, WriteOptions
from caffe_acu.data.output_folder import new_folder
from caffe_acu.data.padding import pad_images, padded_shape
from caffe_acu.data.progress import slices

RING_DOTS = 8


def ring_signs(classes: int) -> np.ndarray:
    """Signs of the ring's dots, (classes, 8), counter to the clock from the right.

    Half of the ring is positive and half negative, and the class is how it is turned. So every class has the
    same dots in the same numbers, and only who sees opposite sides of a ring at once can tell them apart.
    """
    half = np.repeat([1.0, -1.0], RING_DOTS // 2)
    turns = np.arange(classes) * RING_DOTS // classes
    return np.stack([np.roll(half, turn) for turn in turns])


def dot_positions(radius: float) -> np.ndarray:
    """Displacements (x, y) of the 9 dots from the centre, (9, 2) pixels: the centre, then the ring."""
    angles = 2 * np.pi * np.arange(RING_DOTS) / RING_DOTS
    ring = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.concatenate([np.zeros((1, 2)), ring])


def generate(count: int, seed: int, what: Constellations = Constellations()) -> tuple[np.ndarray, np.ndarray]:
    """Images float32 (count, planes, size, size) of about unit variance, and labels int64 (count,).

    A function of its arguments alone. Labels take turns, so every class is as frequent as the others.
    """
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % what.classes
    signs = np.concatenate([np.ones((what.classes, 1)), ring_signs(what.classes)], axis=1)[labels]  # (n, 9)
    centres = rng.uniform(what.margin, what.size - 1 - what.margin, (count, what.copies, 1, 2))
    dots = centres + dot_positions(what.radius)  # (n, copies, 9, xy)
    pixels = np.arange(what.size)
    # A Gaussian dot is a product of a column and a row, so a sum of dots is a matrix product.
    profile = np.exp(-((pixels - dots[..., None]) ** 2) / (2 * what.sigma**2))  # (n, copies, 9, xy, size)
    columns = (profile[..., 1, :] * signs[:, None, :, None]).reshape(count, -1, what.size)
    rows = profile[..., 0, :].reshape(count, -1, what.size)
    pattern = np.einsum("nki,nkj->nij", columns, rows, optimize=True)
    gains = np.asarray(what.plane_gain)
    images = rng.normal(0, what.noise, (count, len(gains), what.size, what.size))
    images += gains[:, None, None] * pattern[:, None]
    return (images / _deviation(what)).astype(np.float32), labels


def _deviation(what: Constellations) -> float:
    """Standard deviation of a pixel, about: noise, and the energy of the dots spread over the image."""
    energy = np.pi * what.sigma**2 * (RING_DOTS + 1) * what.copies / what.size**2
    return float(np.sqrt(what.noise**2 + energy * np.mean(np.square(what.plane_gain))))


def prepare_generated(
    out: Path,
    train_count: int = 20_000,
    test_count: int = 2_000,
    what: Constellations = Constellations(),
    write: WriteOptions = WriteOptions(),
) -> dict[str, Any]:
    """Writes a generated data set in the layout of every other; returns its manifest.

    Raises UserError for an existing ``out`` or a disk too small.
    """
    shape = (len(what.plane_gain), what.size, what.size)
    with new_folder(out, write.overwrite) as folder:
        require_space_for(folder, [(train_count, padded_shape(shape, write.pad)), (test_count, shape)])
        splits = (
            _split("train", train_count, 2 * write.seed, write.pad, what, write),
            _split("test", test_count, 2 * write.seed + 1, 0, what, write),
        )
        details = {"source": f"generated: constellations of radius {what.radius:g}", "options": vars(what)}
        return write_data_set(folder, splits, [f"turned {i}" for i in range(what.classes)], details)


def _split(name: str, count: int, seed: int, pad: int, what: Constellations, write: WriteOptions) -> Split:
    def batches() -> Iterator[np.ndarray]:
        for number, part in enumerate(slices(count)):
            images, _ = generate(part.stop - part.start, _seed(seed, number), what)
            yield pad_images(images, pad, write.pad_mode)

    # Every part starts again with class 0, as `generate` does.
    labels = [np.arange(part.stop - part.start) % what.classes for part in slices(count)]
    shape = (len(what.plane_gain), what.size, what.size)
    return Split(name, padded_shape(shape, pad), np.concatenate(labels), batches)


def _seed(seed: int, part: int) -> int:
    return int(np.random.SeedSequence([seed, part]).generate_state(1)[0])
