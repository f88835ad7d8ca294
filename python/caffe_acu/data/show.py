"""Random records of a data set as pictures for people, and statistics of its channels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
from google.protobuf.message import DecodeError

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.datum import decode
from caffe_acu.data.layout import read_manifest
from caffe_acu.data.preprocess import Preprocessing
from caffe_acu.data.records import Record, read_table, table_name
from caffe_acu.errors import UserError

_STATISTICS_RECORDS = 1000
_BINS = 64
_FITTED = "preprocess.npz"
# Of what has no grey levels any more, the darkest and brightest percent are cut off.
_STRETCH = (1.0, 99.0)


@dataclass(frozen=True)
class Channel:
    """Statistics of one channel, in the units of the records."""

    name: str
    mean: float
    deviation: float
    smallest: float
    largest: float
    edges: np.ndarray  # of the histogram's bins
    shares: np.ndarray  # of the values in each bin


@dataclass(frozen=True)
class Sheet:
    """``pictures``: uint8 (H, W, 3) R, G, B or (H, W) each; ``labels``: their classes' names."""

    title: str
    pictures: list[np.ndarray]
    labels: list[str]
    channels: list[Channel]
    records: int  # that the statistics are of


def look_at(folder: Path, split: str = "train", count: int = 48, seed: int = 0) -> Sheet:
    """``count`` random records of a split of the data set ``folder``, un-whitened where that is possible.

    Statistics are of 1,000 random records at most. Raises UserError for a folder without such a split, or a
    damaged one.
    """
    manifest = read_manifest(folder)
    if split not in manifest["splits"]:
        raise UserError(f"{folder}: has no split '{split}': choose one of {', '.join(manifest['splits'])} with --split")
    entry = manifest["splits"][split]
    order = np.random.default_rng(seed).permutation(entry["images"])[: max(count, _STATISTICS_RECORDS)]
    wanted = set(order.tolist())
    # Line by line: a table can have millions.
    lines = {i: record for i, record in enumerate(read_table(folder / table_name(split))) if i in wanted}
    if len(lines) < len(order):
        raise UserError(f"{folder}: a table of records is too short: `caffe-acu data verify {folder}` tells more")
    chosen = [lines[i] for i in order]
    images, labels = _read(folder / entry["lmdb"], chosen)
    order_of_planes = _channel_order(manifest, entry)
    shown = _pictures(folder, manifest, entry, images[:count])
    return Sheet(
        f"{folder.absolute().name}: {split}, {entry['images']:,} records",
        [_picture(image, order_of_planes) for image in shown],
        [manifest["classes"][label] for label in labels[:count]],
        _channels(images, order_of_planes),
        len(images),
    )


def _read(database: Path, records: Sequence[Record]) -> tuple[np.ndarray, list[int]]:
    images, labels = [], []
    try:
        with lmdb.open(str(database), readonly=True, lock=False) as environment, environment.begin() as transaction:
            # In the order of the file, for the disk's sake.
            values = {key: transaction.get(key) for key in sorted(record.key for record in records)}
            for record in records:
                datum = caffe_pb2.Datum.FromString(values[record.key] or b"")
                images.append(decode(datum))
                labels.append(datum.label)
    except (lmdb.Error, DecodeError, ValueError) as error:
        raise UserError(
            f"{database}: cannot be read ({error}): `caffe-acu data verify {database.parent}` tells more"
        ) from error
    return np.stack(images), labels


def _channel_order(manifest: dict[str, Any], entry: dict[str, Any]) -> str:
    """The order of planes, "rgb" or "bgr"; a letter for each plane where there are other than three."""
    if entry["shape"][0] != 3:
        return "".join(str(number) for number in range(entry["shape"][0]))
    if entry["encoding"] == "jpeg":
        return "bgr"
    options = manifest["options"]
    return options.get("channel_order") or options.get("records", {}).get("channel_order", "rgb")


def _pictures(folder: Path, manifest: dict[str, Any], entry: dict[str, Any], images: np.ndarray) -> np.ndarray:
    """Grey levels, or what comes nearest: uint8 (n, C, H, W)."""
    if images.dtype == np.uint8:
        return images
    path = folder / _FITTED
    if path.is_file():
        preprocessing = Preprocessing.load(path)
        margin = (images.shape[2] - preprocessing.shape[1]) // 2
        if margin > 0:  # a ZCA knows nothing of padding
            images = images[:, :, margin:-margin, margin:-margin]
        images = preprocessing.invert(images)
        if preprocessing.gives_grey_levels:
            return images.round().clip(0, 255).astype(np.uint8)
    # Each picture by itself: contrast normalisation has taken the common scale away.
    rows = images.reshape(len(images), -1)
    low, high = np.percentile(rows, _STRETCH, axis=1, keepdims=True)
    scaled = (rows - low) / np.maximum(high - low, 1e-12) * 255
    return scaled.clip(0, 255).astype(np.uint8).reshape(images.shape)


def _picture(image: np.ndarray, order: str) -> np.ndarray:
    if len(image) != 3:
        return image[0]
    return np.stack([image[order.index(plane)] for plane in "rgb"], axis=2)


def _channels(images: np.ndarray, order: str) -> list[Channel]:
    low, high = images.min(axis=(0, 2, 3)), images.max(axis=(0, 2, 3))
    edges = [np.linspace(*_range(images, channel), _BINS + 1) for channel in range(len(order))]
    counts = np.zeros((len(order), _BINS))
    sums = np.zeros((2, len(order)))
    for image in images:  # one at a time: all of them in float64 are eight times the memory
        planes = image.reshape(len(order), -1).astype(np.float64)
        sums += planes.sum(axis=1), np.square(planes).sum(axis=1)
        counts += [np.histogram(plane, bins)[0] for plane, bins in zip(planes, edges, strict=True)]
    mean, square = sums / (images.size // len(order))
    deviation = np.sqrt(np.maximum(square - mean**2, 0))
    return [
        Channel(
            name.upper(), mean[i], deviation[i], float(low[i]), float(high[i]), edges[i], counts[i] / counts[i].sum()
        )
        for i, name in enumerate(order)
    ]


def _range(images: np.ndarray, channel: int) -> tuple[float, float]:
    """Of a histogram: grey levels, or where all but a few of the values of some images are."""
    if images.dtype == np.uint8:
        return -0.5, 255.5
    low, high = np.percentile(images[:100, channel], (0.1, 99.9))
    return (low, high) if low < high else (low - 0.5, high + 0.5)
