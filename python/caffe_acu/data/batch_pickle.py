"""Reads the pickles that are the official Python files of CIFAR-10 and CIFAR-100, and nothing else.

A pickle is a program; the standard unpickler would run whatever a downloaded file asks for, and can be kept busy or
made to take all memory even where it may call nothing. So the program is taken apart by :mod:`pickletools`, and only
the few instructions that such a file needs are followed, in time and memory proportional to its size. The four names
that a pickled NumPy array asks for stand for functions of our own, which build arrays of bytes.
"""

import pickle
import pickletools
from collections.abc import Callable
from typing import Any

import numpy as np


class PickledBytes:
    """Stands in for numpy.ndarray of dtype uint8 while a pickle is read."""

    array: np.ndarray | None = None

    def build(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran_order, data = state
        self.fill(data, dtype, shape, "F" if fortran_order else "C")

    def fill(self, data: Any, dtype: Any, shape: tuple[int, ...], order: str) -> "PickledBytes":
        if not isinstance(dtype, _ByteType):
            raise pickle.UnpicklingError("an array of something other than bytes")
        self.array = np.frombuffer(data, dtype=np.uint8).reshape(shape, order=order)
        return self


class _ByteType:
    """Stands in for numpy.dtype('uint8')."""

    def __init__(self, name: Any, *_: object) -> None:
        # Text of Python 2, which wrote the official files, arrives as bytes.
        if name not in ("u1", b"u1"):
            raise pickle.UnpicklingError("an array of something other than bytes")

    def build(self, state: object) -> None:
        pass  # byte order and the like, which bytes do not have


def _encode(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1":
        raise pickle.UnpicklingError("bytes that are not encoded as latin1")
    return text.encode("latin1")


class _Function:
    """What a name of a pickle stands for; of no other type can a pickle call anything."""

    def __init__(self, call: Callable[..., Any] | None) -> None:
        self.call = call


_KNOWN: dict[tuple[str, str], _Function] = {
    ("numpy", "dtype"): _Function(_ByteType),
    ("numpy", "ndarray"): _Function(None),  # only ever handed to _reconstruct
    ("_codecs", "encode"): _Function(_encode),
}
for _package in ("numpy.core", "numpy._core"):
    _KNOWN[f"{_package}.multiarray", "_reconstruct"] = _Function(lambda *_: PickledBytes())
    _KNOWN[f"{_package}.numeric", "_frombuffer"] = _Function(lambda *state: PickledBytes().fill(*state))

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_VALUES = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
           "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")  # fmt: skip
_PYTHON2_TEXTS = ("STRING", "BINSTRING", "SHORT_BINSTRING")
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")


class _Machine:
    """The stack on which a pickle's instructions work."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._below: list[list[Any]] = []  # what stands below each mark
        self._memo: dict[int, Any] = {}

    def follow(self, name: str, argument: Any) -> None:
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _PYTHON2_TEXTS:
            self.stack.append(argument.encode("latin1"))
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _PUTS:
            self._memo[argument] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self._memo[argument])
        elif name in _TUPLES:
            self.stack[-_TUPLES[name] :] = [tuple(self.stack[-_TUPLES[name] :])]
        elif name == "GLOBAL":
            self._name(*argument.split(" ", 1))
        else:
            self._structure(name)

    def _structure(self, name: str) -> None:
        match name:
            case "MARK":
                self._below.append(self.stack)
                self.stack = []
            case "MEMOIZE":
                self._memo[len(self._memo)] = self.stack[-1]
            case "TUPLE":
                items = tuple(self._to_mark())
                self.stack.append(items)
            case "EMPTY_LIST":
                self.stack.append([])
            case "LIST":
                items = self._to_mark()
                self.stack.append(items)
            case "EMPTY_DICT":
                self.stack.append({})
            case "DICT":
                items = self._to_mark()
                self.stack.append({})
                self._set(items)
            case "APPEND":
                item = self.stack.pop()
                self._extend([item])
            case "APPENDS":
                self._extend(self._to_mark())
            case "SETITEM":
                value, key = self.stack.pop(), self.stack.pop()
                self._set([key, value])
            case "SETITEMS":
                self._set(self._to_mark())
            case "STACK_GLOBAL":
                last, module = self.stack.pop(), self.stack.pop()
                self._name(module, last)
            case "REDUCE":
                arguments, function = self.stack.pop(), self.stack.pop()
                if not isinstance(function, _Function) or function.call is None or not isinstance(arguments, tuple):
                    raise pickle.UnpicklingError("it calls what is no function of a file of CIFAR")
                self.stack.append(function.call(*arguments))
            case "BUILD":
                state = self.stack.pop()
                if not isinstance(self.stack[-1], PickledBytes | _ByteType):
                    raise pickle.UnpicklingError("it builds what is no array")
                self.stack[-1].build(state)
            case "PROTO" | "FRAME" | "STOP":
                pass
            case _:
                raise pickle.UnpicklingError(f"it uses {name}, which no file of CIFAR needs")

    def _to_mark(self) -> list[Any]:
        items = self.stack
        self.stack = self._below.pop()
        return items

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self.stack[-1], list):
            raise pickle.UnpicklingError("it appends to what is no list")
        self.stack[-1].extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        # The hash of a tuple of tuples of ... could take for ever.
        if not isinstance(target, dict) or not all(isinstance(key, bytes | str | int) for key in items[::2]):
            raise pickle.UnpicklingError("it has a dictionary with keys that are no names")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str | bytes) or not isinstance(name, str | bytes):
            raise pickle.UnpicklingError("it asks for something without a name")
        module, name = (word.decode("latin1") if isinstance(word, bytes) else word for word in (module, name))
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no file of CIFAR needs")
        self.stack.append(_KNOWN[module, name])


def unpickle(contents: bytes) -> dict[bytes, Any]:
    """The dictionary in a file; arrays are :class:`PickledBytes`, text is bytes as Python 2 wrote it.

    Raises pickle.UnpicklingError on anything that is no such file, whatever was wrong with it.
    """
    machine = _Machine()
    try:
        for instruction, argument, _ in pickletools.genops(contents):
            machine.follow(instruction.name, argument)
        result = machine.stack[-1]
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can fail in any way
        raise pickle.UnpicklingError(f"{type(error).__name__}: {error}") from error
    if not isinstance(result, dict):
        raise pickle.UnpicklingError("it holds no dictionary")
    return result
