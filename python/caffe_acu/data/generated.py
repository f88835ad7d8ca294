"""Constellations: the project's own images, in which the useful receptive field is known.

An image is white noise and several copies, at random places, of its class's constellation: a dot in the
centre and eight on a ring around it, each brighter (+) or darker (-) than the ground. The class is the pattern of
signs on the ring. A unit whose taps reach the ring sees a whole pattern at once; one that reaches a single
dot sees the same in every class. See data/generated/README.md.
"""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.data.layout import Split, require_space_for, write_data_set
from caffe_acu.data.options import Constellations, GeneratedOptions
from caffe_acu.data.output_folder import new_folder
from caffe_acu.data.padding import pad_images, padded_shape
from caffe_acu.data.progress import slices

_RING_DOTS = 8
_BLOCK = 500  # images from one random stream; a change of it changes the images of a seed
_LABEL_STREAM, _IMAGE_STREAM = 0, 1
# Entropy beside the user's seed, so that a seed's training and test images have nothing in common.
_SPLIT_STREAM = {"train": 0, "test": 1}

Seed = int | tuple[int, ...]


def sign_codes(classes: int) -> np.ndarray:
    """Signs of the dots of each class, float64 (classes, 9): the centre, then the ring from angle 0 on.

    Half of the ring is + and half -, and the class is how it is turned: every class has the same dots in the
    same numbers, and what tells them apart is the arrangement. Neighbours are mostly alike, so that a synapse
    between two dots is drawn outwards by both.
    """
    half = np.repeat([1.0, -1.0], _RING_DOTS // 2)
    ring = np.stack([np.roll(half, turn * _RING_DOTS // classes) for turn in range(classes)])
    return np.hstack([np.ones((classes, 1)), ring])


def dot_offsets(radius: float) -> np.ndarray:
    """Places of the nine dots from the centre, float64 (9, 2): x to the right and y down, in pixels.

    The ring's dots stand at 0, 45, ..., 315 degrees, in the order in which an ACU's synapses start.
    """
    angles = np.arange(_RING_DOTS) * 2 * np.pi / _RING_DOTS
    ring = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return np.vstack([np.zeros((1, 2)), ring])


def generate(count: int, seed: Seed, images: Constellations = Constellations()) -> tuple[np.ndarray, np.ndarray]:
    """``count`` images and nothing but a function of the arguments.

    Returns float32 (count, C, size, size), C the number of plane gains, of about unit variance, and int64
    labels (count,), each class as often as another (or once more) in random order.
    """
    labels = draw_labels(count, seed, images)
    blocks = list(generate_blocks(labels, seed, images))
    return np.concatenate(blocks), labels


def draw_labels(count: int, seed: Seed, images: Constellations) -> np.ndarray:
    """The labels of :func:`generate`."""
    return _random(seed, _LABEL_STREAM).permutation(np.arange(count) % images.classes)


def generate_blocks(labels: np.ndarray, seed: Seed, images: Constellations) -> Iterator[np.ndarray]:
    """The images of :func:`generate` for these labels, a bounded number at a time."""
    for number, part in enumerate(slices(len(labels), _BLOCK)):
        yield _draw(labels[part], images, _random(seed, _IMAGE_STREAM, number))


def prepare_generated(out: Path, options: GeneratedOptions = GeneratedOptions()) -> dict[str, Any]:
    """Generates and writes the data set ``out``; returns its manifest, which states every parameter.

    The layout is that of :func:`caffe_acu.data.prepare.prepare` without ``preprocess.npz``: training images
    padded, test images not. Raises UserError for an existing ``out`` or a disk too small.
    """
    images, write = options.images, options.write
    with new_folder(out, write.overwrite) as folder:
        splits = (
            _split("train", options.train_images, options, write.pad),
            _split("test", options.test_images, options, 0),
        )
        require_space_for(folder, [(len(split.labels), split.shape) for split in splits])
        codes = sign_codes(images.classes)
        classes = ["".join("+" if sign > 0 else "-" for sign in code) for code in codes]
        details = {
            "source": f"generated constellations of radius {images.radius:g}",
            "options": asdict(options),
            "dot_offsets": dot_offsets(images.radius).tolist(),
        }
        return write_data_set(folder, splits, classes, details)


def _split(name: str, count: int, options: GeneratedOptions, pad: int) -> Split:
    images, write = options.images, options.write
    seed = (write.seed, _SPLIT_STREAM[name])
    labels = draw_labels(count, seed, images)

    def batches() -> Iterator[np.ndarray]:
        for block in generate_blocks(labels, seed, images):
            yield pad_images(block, pad, write.pad_mode)

    shape = (len(images.plane_gain), images.size, images.size)
    return Split(name, padded_shape(shape, pad), labels, batches)


def _draw(labels: np.ndarray, images: Constellations, random: np.random.Generator) -> np.ndarray:
    count, size = len(labels), images.size
    low, high = images.margin, size - 1 - images.margin
    centres = random.uniform(low, high, (count, images.copies, 1, 2))
    dots = (centres + dot_offsets(images.radius)).reshape(count, -1, 2)
    signs = np.tile(sign_codes(images.classes)[labels], images.copies)

    # exp(-(dx^2 + dy^2) / (2 sigma^2)) is a product of a row and a column: (n, dots, size) each.
    profiles = np.exp(-((np.arange(size) - dots[..., None]) ** 2) / (2 * images.sigma**2))
    columns, rows = profiles[:, :, 0], profiles[:, :, 1]
    pattern = np.einsum("nd,ndy,ndx->nyx", signs, rows, columns, optimize=True)

    gain = np.array(images.plane_gain).reshape(1, -1, 1, 1)
    noise = random.normal(0.0, images.noise, (count, gain.size, size, size))
    return ((gain * pattern[:, None] + noise) / _expected_deviation(images)).astype(np.float32)


def _expected_deviation(images: Constellations) -> float:
    """Standard deviation over all planes, dots taken as apart from each other. One scale for every image."""
    dots = 9 * images.copies / images.size**2
    power = np.mean(np.square(images.plane_gain)) * dots * np.pi * images.sigma**2
    return float(np.sqrt(power + images.noise**2))


def _random(seed: Seed, *stream: int) -> np.random.Generator:
    entropy = (seed,) if isinstance(seed, int) else seed
    return np.random.default_rng([*entropy, *stream])
