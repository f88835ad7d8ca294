"""Trained networks from a few lines of prototxt, with blobs in which sums are exact, whatever their order."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from google.protobuf import text_format

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.trained_net import TrainedNet, caffe_net

REACH = 5  # pixels, of positions


def input_text(shape: Sequence[int]) -> str:
    dims = " ".join(f"dim: {size}" for size in shape)
    return f"layer {{ name: 'data' type: 'Input' top: 'data' input_param {{ shape {{ {dims} }} }} }}"


def trained_of(text: str, seed: int = 0, exact: bool = True) -> TrainedNet:
    """A network of this prototxt, with random blobs.

    ``exact``: weights are small integers and positions multiples of a quarter, a third of them whole. With images of
    small integers every product and sum is then a multiple of 1/16 that float32 holds: outputs that should be equal
    are so to the last bit. Else all is normally distributed.
    """
    net = text_format.Parse(text, caffe_pb2.NetParameter())
    random = np.random.default_rng(seed)
    blobs = {}
    types = {layer.name: layer.type for layer in net.layer}
    for name, shapes in caffe_net(net, {}).params.items():
        blobs[name] = [_values(random, tuple(blob.data.shape), exact) for blob in shapes]
        if types[name] in ACTIVE_TYPES:
            blobs[name][2:] = [_positions(random, tuple(blob.data.shape), exact) for blob in shapes[2:]]
            if shapes[1].data.shape == (1, 1, 1, 1):
                blobs[name][1][:] = 0  # no bias
    return TrainedNet(net, blobs, Path("net.prototxt"), Path("net.caffemodel"))


def image(shape: Sequence[int], seed: int = 1) -> np.ndarray:
    """Small integers."""
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(np.float32)


def run(net, blobs, values: np.ndarray) -> dict[str, np.ndarray]:
    """All blobs of a network, for an input of any size."""
    loaded = caffe_net(net, blobs)
    loaded.blobs["data"].reshape(*values.shape)
    loaded.reshape()
    loaded.blobs["data"].data[...] = values
    loaded.forward()
    return {name: blob.data.copy() for name, blob in loaded.blobs.items()}


def _values(random: np.random.Generator, shape: tuple[int, ...], exact: bool) -> np.ndarray:
    values = random.integers(-4, 5, shape) if exact else random.normal(size=shape)
    return values.astype(np.float32)


def _positions(random: np.random.Generator, shape: tuple[int, ...], exact: bool) -> np.ndarray:
    positions = random.uniform(-REACH, REACH, shape)
    if exact:
        positions = np.where(random.random(shape) < 1 / 3, np.rint(positions), np.rint(4 * positions) / 4)
    return positions.astype(np.float32)
