"""Whether data have the form that a report is made of."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from caffe_acu.errors import UserError

_KEYS = ("title", "remark", "notes", "command", "table", "curves", "shapes", "settings", "environments", "comparisons")
_CURVE = ("row", "model", "kind", "seed", "warmup_iter", "train", "test")
_SHAPE = ("row", "model", "seed", "layer", "kernel", "iterations", "x", "y", "fixed")
_COMPARISON = ("base", "acu", "dataset", "metric", "paper_gain", "our_gain", "standard_error", "significant", "remark")


def check(data: Mapping[str, Any]) -> None:
    """UserError that names the first part that is missing or does not fit."""
    _need("report data", data, _KEYS)
    _need("table", data["table"], ("columns", "rows"))
    columns = len(data["table"]["columns"])
    for number, row in enumerate(data["table"]["rows"]):
        if len(row) != columns:
            raise UserError(f"report data: table row {number} has {len(row)} cells, and there are {columns} columns")
    for where, curve in _numbered("curves", data["curves"], _CURVE):
        _check_curve(where, curve)
    for where, shape in _numbered("shapes", data["shapes"], _SHAPE):
        _check_shape(where, shape)
    for _ in _numbered("settings", data["settings"], ("row", "text")):
        pass
    for _ in _numbered("comparisons", data["comparisons"], _COMPARISON):
        pass


def _check_curve(where: str, curve: Mapping[str, Any]) -> None:
    if curve["kind"] not in ("base", "acu"):
        raise UserError(f'report data: the kind of {where} is {curve["kind"]!r}; it must be "base" or "acu"')
    for part, values in (("train", "loss"), ("test", "error")):
        _need(f"{where}.{part}", curve[part], ("iteration", values))
        iterations, known = len(curve[part]["iteration"]), len(curve[part][values])
        if iterations != known:
            raise UserError(f"report data: {where}.{part} has {iterations} iterations and {known} values of {values}")


def _check_shape(where: str, shape: Mapping[str, Any]) -> None:
    wanted = (len(shape["iterations"]), len(shape["fixed"]))
    for axis in ("x", "y"):
        # Ragged lists are an error of NumPy's.
        try:
            found = np.shape(np.array(shape[axis], dtype=np.float64))
        except (TypeError, ValueError):
            found = None
        if found is None or len(found) != 3 or found[:2] != wanted or 0 in found:
            raise UserError(
                f"report data: {axis} of {where} is {found or 'ragged'}; (iterations, sets, synapses) must be "
                f"({wanted[0]}, {wanted[1]}, 1 or more)"
            )
    if np.shape(shape["x"]) != np.shape(shape["y"]):
        raise UserError(f"report data: x and y of {where} are for different numbers of synapses")
    if "set_numbers" in shape and len(shape["set_numbers"]) != wanted[1]:
        raise UserError(f"report data: {where} has {len(shape['set_numbers'])} set_numbers for {wanted[1]} sets")


def _numbered(name: str, values: Iterable[Mapping[str, Any]], keys: tuple[str, ...]):
    for number, value in enumerate(values):
        where = f"{name}[{number}]"
        _need(where, value, keys)
        yield where, value


def _need(where: str, value: Any, keys: tuple[str, ...]) -> None:
    missing = [key for key in keys if key not in value]
    if missing:
        raise UserError(f"report data: {where} has no {' and no '.join(missing)}")
