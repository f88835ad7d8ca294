"""Positions over the iterations of a run: the file that the solver writes (``position_log``), and npz files of it."""

import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from caffe_acu.active_layer import fixed_synapses
from caffe_acu.errors import UserError
from caffe_acu.layer_positions import LayerSeries
from caffe_acu.net_param import read_bytes, write_atomically

# What NumPy raises for an npz that is damaged, or is none.
_DAMAGE = (ValueError, TypeError, KeyError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)
_MAGIC, _VERSION = b"ACUPOSLG", 1  # the format stands in caffe_acu/step/position_log.hpp


def is_position_log(path: str | Path) -> bool:
    """Whether the file begins as a position log; False if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_position_log(path: str | Path) -> list[LayerSeries]:
    """The movement of each active layer, in the order of the net, in pixels, as the solver logged it.

    What a killed process or a power cut left of the last records is passed over. UserError for any other damage, for
    a file without a whole record, and for one that is no position log.
    """
    raw = read_bytes(path)
    if not raw.startswith(_MAGIC):
        raise UserError(f"{path}: no position log; the file that the solver's position_log names was expected")
    header = _Header(raw, path)
    layers = [header.layer() for _ in range(header.number("I"))]
    values = sum(2 * layer.sets * layer.height * layer.width for layer in layers)
    size = 8 + 4 * values + 4
    whole = [_is_whole(raw, begin, size) for begin in range(header.end, len(raw) - size + 1, size)]
    count = whole.index(False) if False in whole else len(whole)
    if any(whole[count:]):
        raise UserError(f"{path}: record {count} is damaged, and others follow; get a copy of the file")
    if count == 0:
        raise UserError(f"{path}: no record in it; was the training stopped in its first iteration?")
    dtype = np.dtype([("iteration", "<i8"), ("values", "<f4", (values,)), ("checksum", "<u4")])
    records = np.frombuffer(raw, dtype, count, header.end)
    return _as_series(layers, records["iteration"].astype(np.int64), records["values"])


def save_npz(series: Sequence[LayerSeries], path: str | Path) -> None:
    """Writes the layers of one run to a compressed npz, whole or not at all; UserError if that fails.

    Arrays: ``iterations`` (T,); ``layers`` (L,) names, ``types`` (L,), ``kernel_sizes`` (L, 2), ``warmup_iters``
    (L,); and for layer i of L ``x_i`` and ``y_i`` (T, sets, K) in pixels, ``fixed_i`` (sets,).
    """
    arrays = {
        "iterations": series[0].iterations,
        "layers": np.array([layer.layer for layer in series]),
        "types": np.array([layer.type for layer in series]),
        "kernel_sizes": np.array([layer.kernel_size for layer in series]),
        "warmup_iters": np.array([layer.warmup_iter for layer in series]),
    }
    for i, layer in enumerate(series):
        arrays |= {f"x_{i}": layer.x, f"y_{i}": layer.y, f"fixed_{i}": layer.fixed}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    write_atomically(path, content.getvalue())


def load_npz(path: str | Path) -> list[LayerSeries]:
    """What :func:`save_npz` wrote; UserError if the file is something else."""
    try:
        with np.load(io.BytesIO(read_bytes(path))) as file:
            return [
                LayerSeries(
                    layer=str(name),
                    type=str(file["types"][i]),
                    iterations=file["iterations"],
                    x=file[f"x_{i}"],
                    y=file[f"y_{i}"],
                    fixed=file[f"fixed_{i}"],
                    kernel_size=tuple(file["kernel_sizes"][i].tolist()),
                    warmup_iter=int(file["warmup_iters"][i]),
                )
                for i, name in enumerate(file["layers"])
            ]
    except _DAMAGE as error:
        raise UserError(f"{path}: not an npz of positions, or a damaged one; make it again of the log") from error


class _Layer(NamedTuple):
    name: str
    type: str
    sets: int
    height: int
    width: int
    fixed_rule: int
    warmup_iter: int


class _Header:
    """Reads the header of a log from its beginning; ``end`` is where it has come to."""

    def __init__(self, raw: bytes, path: str | Path) -> None:
        self.end = len(_MAGIC)
        self._raw, self._path = raw, path
        version = self.number("I")
        if version != _VERSION:
            raise UserError(f"{path}: a position log of version {version}; this program reads {_VERSION}")

    def number(self, form: str) -> int:
        return struct.unpack("<" + form, self._take(4))[0]

    def layer(self) -> _Layer:
        name, kind = (self._take(self.number("I")).decode(errors="replace") for _ in range(2))
        return _Layer(name, kind, *map(self.number, "IIIii"))

    def _take(self, size: int) -> bytes:
        taken = self._raw[self.end : self.end + size]
        if len(taken) < size:
            raise UserError(f"{self._path}: cut short within its header, so no record is in it")
        self.end += size
        return taken


def _is_whole(raw: bytes, begin: int, size: int) -> bool:
    end = begin + size - 4
    return zlib.crc32(memoryview(raw)[begin:end]) == struct.unpack_from("<I", raw, end)[0]


def _as_series(layers: Sequence[_Layer], iterations: np.ndarray, values: np.ndarray) -> list[LayerSeries]:
    series, place = [], 0
    for layer in layers:
        shape = (len(values), layer.sets, layer.height * layer.width)
        half = shape[1] * shape[2]
        x, y = (values[:, begin : begin + half].astype(np.float64).reshape(shape) for begin in (place, place + half))
        place += 2 * half
        series.append(
            LayerSeries(
                layer=layer.name,
                type=layer.type,
                iterations=iterations,
                x=x,
                y=y,
                fixed=fixed_synapses(layer.fixed_rule, x[-1], y[-1]),
                kernel_size=(layer.height, layer.width),
                warmup_iter=layer.warmup_iter,
            )
        )
    return series
