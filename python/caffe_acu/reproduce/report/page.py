"""A table's results as one HTML file: table, comparisons, training curves, learned shapes, settings, environments.

The page is ``page.html``, filled in by Jinja, with ``style.css`` and the scripts beside it inside. Curves and shapes
are drawn in the browser from the data, which stand in the page as JSON. Nothing is fetched, and the page's content
security policy forbids it to.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from caffe_acu.reproduce.report.cells import cell_text, gains, table
from caffe_acu.reproduce.report.check import check
from caffe_acu.reproduce.report.compact import compact_curves, compact_shapes

_FOLDER = Path(__file__).parent
_SCRIPTS = ("elements.js", "rows.js", "axes.js", "curves.js", "shapes.js", "player.js")


def html_report(data: Mapping[str, Any]) -> str:
    """The page for ``data``, to be written as UTF-8.

    Keys of ``data``: title, remark (why the numbers are not comparable; stands beside all of them), notes, command,
    table, curves, shapes, settings, environments, comparisons. Iterations are the solver's, errors percent, positions
    pixels (T, sets, K) from the base point; None and NaN are "not known". ``curves`` and ``shapes`` may be empty,
    which the page says. A curve may tell where its learning rate drops ("rate_drops", pairs of iteration and new
    rate). A shape may tell of how many sets its own were sampled ("sets"), which these are ("set_numbers"), and of how
    many records its moments ("records"). UserError for data of another form.
    """
    check(data)
    script = Markup("\n(() => {\n%s})();\n") % Markup("".join(map(_beside, _SCRIPTS)))
    return _template().render(
        title=data["title"],
        remark=data["remark"],
        notes=data["notes"],
        command=data["command"],
        results=table(data["table"]["columns"], data["table"]["rows"]),
        gains=gains(data["comparisons"]),
        settings=data["settings"],
        environments=data["environments"],
        embedded={"curves": compact_curves(data["curves"]), "shapes": compact_shapes(data["shapes"])},
        style=Markup(_beside("style.css")),
        script=script,
        # Of inline scripts only this one runs, whatever a name in the data looks like.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _beside(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _template() -> Template:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "ensure_ascii": False, "allow_nan": False}
    environment.filters["entry"] = _entry
    return environment.get_template("page.html")


def _entry(value: Any) -> str:
    """A value of an environment, as a line of text."""
    if isinstance(value, (list, tuple)):
        return "; ".join(map(_entry, value)) or "none"
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return cell_text(value)
