"""What every figure shares: its making without a display or global state, and its saving."""

import io
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Writes the figure as its suffix says, .png, .svg or .pdf, whole or not at all.

    UserError for another suffix, and where the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"{path}: a figure is written as .png, .svg or .pdf")
    picture = io.BytesIO()
    # A fixed salt and no date: the same arrays make the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None} if path.suffix == ".pdf" else None
    with matplotlib.rc_context({"svg.hashsalt": "caffe-acu"}):
        figure.savefig(picture, format=path.suffix[1:], dpi=150, metadata=metadata)
    write_atomically(path, picture.getvalue())
