"""Padding of training images, so that Caffe's own ``crop_size`` gives the papers' random crops."""

import numpy as np

# NumPy's 'symmetric' repeats the edge pixel: c b a | a b c.
_NUMPY_MODES = {"mirror": "symmetric", "zero": "constant"}


def padded_shape(shape: tuple[int, int, int], pad: int) -> tuple[int, int, int]:
    """(C, H, W) of an image of ``shape`` after :func:`pad_images`."""
    channels, height, width = shape
    return channels, height + 2 * pad, width + 2 * pad


def pad_images(images: np.ndarray, pad: int, mode: str) -> np.ndarray:
    """Images (N, C, H, W) with ``pad`` pixels more on every side; ``mode`` is a key of PAD_MODES."""
    return np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)), _NUMPY_MODES[mode])
