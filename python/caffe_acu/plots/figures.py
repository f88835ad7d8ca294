"""What every figure shares: its making without a display or global state, and its saving."""

from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from caffe_acu.errors import UserError


def new_figure(width: float, height: float) -> Figure:
    """A figure of that many inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Figure, path: str | Path) -> None:
    """Writes the figure as its suffix says: .png, .svg or .pdf; UserError for another."""
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"{path}: a figure is written as .png, .svg or .pdf")
    path.parent.mkdir(parents=True, exist_ok=True)
    # A fixed salt and no date: the same arrays make the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None} if path.suffix == ".pdf" else None
    with matplotlib.rc_context({"svg.hashsalt": "caffe-acu"}):
        figure.savefig(path, dpi=150, metadata=metadata)
