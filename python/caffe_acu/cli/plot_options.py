"""What the kinds of ``caffe-acu plot`` share: their options, and what these choose."""

import argparse
from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TypeVar

from caffe_acu.cli.choices import publishable

MOVEMENT = "several snapshots of a run or their folder, the folder of a run, a position log, or an npz of it"
POSITIONS = f"a caffemodel, a prototxt (which tells where synapses start), {MOVEMENT}"
_Layer = TypeVar("_Layer")


def add_kind(kinds, name: str, run: Callable[[argparse.Namespace], None], **texts: Any) -> argparse.ArgumentParser:
    """A kind with the options that all have. Its files are ``files``."""
    parser = kinds.add_parser(name, **texts)
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the file to write")
    parser.add_argument("--title", metavar="TEXT", help="above the figure, '' for none (what is drawn)")
    parser.add_argument(
        "--size",
        metavar="SIZE",
        default="page",
        help="column (3.25 inches wide), page (6.875), WIDTH or WIDTHxHEIGHT in inches (page; as high as needed)",
    )
    parser.set_defaults(run=run)
    return parser


def add_files(parser: argparse.ArgumentParser, what: str = POSITIONS) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=what)


def add_layers(parser: argparse.ArgumentParser, default: str = "all") -> None:
    parser.add_argument(
        "--layers", nargs="+", metavar="NAME", help=f"those to draw, by name or pattern such as 'stage3_*' ({default})"
    )


def add_moment(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--iteration", type=int, metavar="N", help="of a run, a log or several snapshots (the last)")


def add_columns(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--columns", type=int, metavar="N", help="panels in a row (as many as are legible)")


def add_sets(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "--sets",
        metavar="SETS",
        help="position sets of each layer: all, a number of them, evenly spread, or theirs with commas, as 0,7,12 or "
        f"7, ({default})",
    )


def size_of(text: str):
    """The Size that ``--size`` means; UserError if it means none."""
    from caffe_acu.errors import UserError
    from caffe_acu.plots.style import COLUMN, PAGE, Size

    named = {"column": COLUMN, "page": PAGE}
    if text in named:
        return named[text]
    try:
        inches = [float(part) for part in text.split("x")]
    except ValueError:
        inches = []
    if len(inches) not in (1, 2) or not all(1 <= inch <= 100 for inch in inches):
        raise UserError(f"--size {text}: column, page, WIDTH or WIDTHxHEIGHT in inches, 1 to 100, was expected")
    return Size(*inches)


def check_columns(columns: int | None) -> None:
    from caffe_acu.errors import UserError

    if columns is not None and columns < 1:
        raise UserError(f"--columns {columns}: 1 or more was expected")


def title_of(arguments: argparse.Namespace, *parts: str) -> str:
    """The title asked for, else these parts, and what keeps the runs of the FILEs from being comparable."""
    if arguments.title is not None:
        return arguments.title
    return ", ".join(filter(None, (*parts, *_remarks(arguments.files))))


def _remarks(files: Sequence[Path]) -> list[str]:
    """Of the runs that the files are of, such as "scaled 1/640, not comparable", each once."""
    from caffe_acu.reproduce.records import read_run

    around = {folder: None for file in files for folder in (file, file.parent, file.parent.parent)}
    runs = [read_run(folder) for folder in around if (folder / "run.json").is_file()]
    return list(dict.fromkeys(run.remark for run in runs))


def name_of(files: Sequence[Path], iteration: int | None = None) -> str:
    """Of a network: its file, or the folder of its run with the folder around it; no folders of this machine.

    Of several snapshots the one that is drawn, that of ``iteration`` or else the last.
    """
    from caffe_acu.position_files import by_iteration

    first = files[0]
    if len(files) > 1:
        snapshots = by_iteration(files)
        first = snapshots[max(snapshots) if iteration is None else iteration]
    if first.is_dir():
        return "/".join(part for part in first.resolve().parts[-2:] if part not in ("/", "snapshots"))
    return Path(publishable(first)).name


def at_iteration(arguments: argparse.Namespace) -> str:
    """Where the FILE's name does not tell it."""
    if arguments.iteration is None or len(arguments.files) > 1:
        return ""
    return f"iteration {arguments.iteration:,}"


def chosen_layers(layers: Sequence[_Layer], patterns: Sequence[str] | None, file: Path) -> list[_Layer]:
    """Those of which the name fits one of the patterns; UserError for a pattern that fits none."""
    from caffe_acu.errors import UserError

    if patterns is None:
        return list(layers)
    for pattern in patterns:
        if not any(_fits(layer, pattern) for layer in layers):
            names = ", ".join(layer.layer for layer in layers)
            raise UserError(f"{file}: no ACU layer {pattern!r}; it has {names}")
    return [layer for layer in layers if any(_fits(layer, pattern) for pattern in patterns)]


def _fits(layer: Any, pattern: str) -> bool:
    return layer.layer == pattern or fnmatchcase(layer.layer, pattern)


def chosen_sets(text: str, layer: str, count: int):
    """Indices of the sets that ``--sets`` means, of a layer that has ``count``; UserError if it has not all of them."""
    import numpy as np

    from caffe_acu.errors import UserError
    from caffe_acu.evenly import evenly

    if text == "all":
        return np.arange(count)
    try:
        numbers = [int(part) for part in text.split(",") if part]
    except ValueError:
        numbers = []
    if not numbers or min(numbers) < 0 or ("," not in text and numbers[0] < 1):
        raise UserError(f"--sets {text}: all, a number of sets, or their numbers with commas was expected")
    if "," not in text:
        return evenly(count, numbers[0])
    if max(numbers) >= count:
        raise UserError(f"--sets {text}: layer {layer!r} has {count} set(s), numbered from 0")
    return np.array(numbers)
