"""Unpickles the official Python files of CIFAR-10 and CIFAR-100, and nothing else.

A pickle is a program; the standard unpickler would run whatever a downloaded file asks for. This one knows
the four names that a pickled NumPy array needs, and stands in for each with code of its own, which builds
arrays of bytes only.
"""

import io
import pickle
from typing import Any

import numpy as np


class PickledBytes:
    """Stands in for numpy.ndarray of dtype uint8 while a pickle is read."""

    array: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, data = state
        self.fill(data, dtype, shape, "F" if fortran_order else "C")

    def fill(self, data: Any, dtype: Any, shape: tuple[int, ...], order: str) -> "PickledBytes":
        if not isinstance(dtype, _ByteType):
            raise pickle.UnpicklingError("an array of something other than bytes")
        self.array = np.frombuffer(data, dtype=np.uint8).reshape(shape, order=order)
        return self


class _ByteType:
    """Stands in for numpy.dtype('uint8')."""

    def __init__(self, name: str | bytes, *_: object) -> None:
        # Text of Python 2, which wrote the official files, arrives as bytes.
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError(f"an array of dtype {name!r}")

    def __setstate__(self, state: object) -> None:
        pass  # byte order and the like, which bytes do not have


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r}")
    return text.encode(encoding)


_KNOWN: dict[tuple[str, str], Any] = {
    ("numpy", "dtype"): _ByteType,
    ("numpy", "ndarray"): "ndarray",  # only ever handed to _reconstruct
    ("_codecs", "encode"): _encode,
}
for _package in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_package}.multiarray", "_reconstruct"] = lambda *_: PickledBytes()
    _KNOWN[f"{_package}.numeric", "_frombuffer"] = lambda *state: PickledBytes().fill(*state)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no file of CIFAR needs") from None


def unpickle(contents: bytes) -> dict[bytes, Any]:
    """The dictionary in a file; arrays are :class:`PickledBytes`, text is bytes as Python 2 wrote it.

    Raises pickle.UnpicklingError on anything that is no such file, whatever was wrong with it.
    """
    try:
        result = _Unpickler(io.BytesIO(contents), encoding="bytes").load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error
    if not isinstance(result, dict):
        raise pickle.UnpicklingError("it holds no dictionary")
    return result
