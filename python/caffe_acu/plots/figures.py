"""What every figure shares: its making without a display or global state, and its saving."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically
from caffe_acu.plots.style import HEADING, INCH, TITLE, Size, shortened, styled, text_width, wrapped

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


def set_legend(figure: Figure, handles: Sequence[Artist], most_columns: int, size: Size, together: int = 1) -> None:
    """Below the axes of a constrained figure, which grows with it unless its height is given.

    As many columns as fit, in which so many handles stay together that follow one another.
    """
    around = 4.8 * HEADING  # of a name: Matplotlib's line, and spaces
    names = [shortened(handle.get_label(), size.width * INCH - around, HEADING) for handle in handles]
    widest = max(text_width(name, HEADING) for name in names) + around
    fitting = max(1, min(most_columns, int(size.width * INCH / widest)))
    columns = next(count for count in range(fitting, 0, -1) if _parts(len(handles), count, together))
    if not size.height:
        rows_more = max(0, math.ceil(len(handles) / columns) - 2)
        figure.set_figheight(figure.get_figheight() + rows_more * 1.6 * HEADING / INCH)
    figure.legend(handles=handles, labels=names, loc="outside lower center", ncols=columns)


def _parts(count: int, columns: int, together: int) -> bool:
    """Whether Matplotlib's columns of so many begin only where something new begins."""
    least, longer = divmod(count, columns)
    lengths = [least + (i < longer) for i in range(columns)]
    return all(length % together == 0 for length in lengths[:-1])


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
