"""What every figure shares: its making without a display or global state, and its saving."""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically
from caffe_acu.plots.style import INCH, TITLE, styled, wrapped

PIXELS_PER_INCH = 200
_INSIDE_VECTORS = 600  # pixels per inch of what a vector format holds as a picture


def new_figure(width: float, height: float, layout: str | None = "constrained") -> Figure:
    """A figure of that many inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), layout=layout)
    FigureCanvasAgg(figure)
    return figure


def set_title(figure: Figure, title: str) -> None:
    """Above all of a constrained figure, in as many lines as it needs."""
    if title:
        figure.suptitle(wrapped(title, 0.97 * INCH * figure.get_figwidth(), TITLE))


@styled
def save(figure: Figure, path: str | Path) -> None:
    """Writes the figure as its suffix says, .png, .svg or .pdf, whole or not at all.

    UserError for another suffix, and where the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"{path}: a figure is written as .png, .svg or .pdf")
    picture = io.BytesIO()
    # No date: the same arrays make the same file.
    metadata = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None} if path.suffix == ".pdf" else None
    dpi = PIXELS_PER_INCH if path.suffix == ".png" else _INSIDE_VECTORS
    figure.savefig(picture, format=path.suffix[1:], dpi=dpi, metadata=metadata)
    write_atomically(path, picture.getvalue())
