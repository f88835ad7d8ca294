"""DOT text to files, by Graphviz's program ``dot``; and whether an SVG is that of a text."""

import hashlib
import re
import subprocess
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically

_FORMATS = {".svg": ["-Tsvg"], ".png": ["-Tpng", "-Gdpi=150"], ".pdf": ["-Tpdf"]}
_DIGEST = re.compile(r"^<!-- of the DOT text with SHA-256 ([0-9a-f]{64}) -->$", re.MULTILINE)


def write_drawing(dot: str, path: Path, made_by: str) -> None:
    """Writes the picture as its suffix says, whole or not at all.

    An SVG refers to nothing outside, and begins with ``made_by``, one line, and the text's digest. UserError for
    another suffix, where Graphviz is missing or fails, and where the file cannot be written.
    """
    if path.suffix not in _FORMATS:
        raise UserError(f"{path}: a drawing is written as .svg, .png or .pdf")
    picture = _run_dot(dot, _FORMATS[path.suffix])
    if path.suffix == ".svg":
        picture = _signed(picture.decode("utf-8"), dot, made_by).encode("utf-8")
    write_atomically(path, picture)


def is_current(svg: Path, dot: str) -> bool:
    """Whether an SVG of :func:`write_drawing` was made of this text, by whatever version of Graphviz."""
    found = _DIGEST.search(svg.read_text(encoding="utf-8"))
    return bool(found) and found.group(1) == _digest(dot)


def _run_dot(dot: str, options: list[str]) -> bytes:
    try:
        done = subprocess.run(["dot", *options], input=dot.encode("utf-8"), capture_output=True)
    except FileNotFoundError as error:
        raise UserError("dot is not installed; get Graphviz: apt-get install graphviz") from error
    if done.returncode:
        reason = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise UserError(f"dot failed with exit status {done.returncode}: {reason}")
    return done.stdout


def _digest(dot: str) -> str:
    return hashlib.sha256(dot.encode("utf-8")).hexdigest()


def _signed(svg: str, dot: str, made_by: str) -> str:
    # What Graphviz puts in front: a DTD from the web, its version.
    picture = svg[svg.index("<svg") :]
    comments = (made_by.replace("--", "- -"), f"of the DOT text with SHA-256 {_digest(dot)}")  # XML forbids --
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', *(f"<!-- {text} -->" for text in comments), picture])
