"""A table's results as one HTML file: table, comparisons, training curves, learned shapes, settings, environments.

The page is ``page.html``, filled in by Jinja, with ``style.css`` and the scripts beside it inside. Curves and shapes are
drawn in the browser from the data, which stand in the page as JSON. Nothing is fetched, and the page's content security
policy forbids it to.
"""

import base64
import hashlib
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from caffe_acu.reproduce.report.check import check
from caffe_acu.reproduce.report.compact import compact_curves, compact_shapes

_FOLDER = Path(__file__).parent
_SCRIPTS = ("elements.js", "rows.js", "axes.js", "curves.js", "shapes.js", "player.js")
_NUMBER = re.compile(r"[+−-]?[\d.,]+( ?(±|\(|[%MGkx]|$).*)?")
_NOT_THERE = ("", "-", "–", "not run", "running")
NOT_KNOWN = "–"
_COMPARISON = ("ACU", "against", "paper's gain", "our gain", "standard error", "significant", "remark")


def html_report(data: Mapping[str, Any]) -> str:
    """The page for ``data``, in UTF-8 when it is written to a file.

    Keys of ``data``: title, remark, command, table, curves, shapes, settings, environments, comparisons. Iterations are
    the solver's, errors percent, positions pixels (T, sets, K) from the base point; None and NaN are "not known".
    ``curves`` and ``shapes`` may be empty, which the page says. UserError for data of another form.
    """
    check(data)
    shapes = compact_shapes(data["shapes"])
    embedded = {"remark": data["remark"], "curves": compact_curves(data["curves"]), "shapes": shapes}
    script = Markup("\n(() => {{\n{}}})();\n").format(Markup("".join(map(_beside, _SCRIPTS))))
    return _template().render(
        data,
        comparison_columns=_COMPARISON,
        comparison_rows=[_comparison(comparison) for comparison in data["comparisons"]],
        embedded=embedded,
        style=Markup(_beside("style.css")),
        script=script,
        # Of inline scripts only this one runs, whatever a name in the data looks like.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _beside(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _template():
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Keys as they come: a table of runs is in the order of the paper.
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    environment.filters |= {"cell": _cell, "entry": _entry}
    environment.tests |= {"number": _is_number, "missing": _is_missing}
    return environment.get_template("page.html")


def _cell(value: Any) -> str:
    """A cell's text: strings as they are, numbers with at most six digits."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOT_KNOWN
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value) or NOT_KNOWN


def _comparison(comparison: Mapping[str, Any]) -> list[str]:
    error = comparison["standard_error"]
    significant = {True: "yes", False: "no"}.get(comparison["significant"], NOT_KNOWN)
    return [
        comparison["acu"],
        comparison["base"],
        _signed(comparison["paper_gain"]),
        "not run" if comparison["our_gain"] is None else _signed(comparison["our_gain"]),
        NOT_KNOWN if error is None or not math.isfinite(error) else f"{error:.2f}",
        significant,
        comparison["remark"],
    ]


def _signed(value: float | None) -> str:
    """A gain, in points, with its sign."""
    return NOT_KNOWN if value is None or not math.isfinite(value) else f"{value:+.2f}".replace("-", "−")


def _entry(value: Any) -> str:
    """A value of an environment, as a line of text."""
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_entry, value)) or "none"
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return _cell(value)


def _is_number(value: Any) -> bool:
    return _is_missing(value) or bool(_NUMBER.fullmatch(_cell(value)))


def _is_missing(value: Any) -> bool:
    return _cell(value) in _NOT_THERE
