"""Which files hold the positions of a run: its snapshots, and what stands in its folder."""

import re
from collections.abc import Iterable
from pathlib import Path

from caffe_acu.errors import UserError

_SNAPSHOT = re.compile(r"(.*)_iter_(\d+)\.caffemodel")
_OVER_TIME = ("positions.npz", "positions.log")  # the one is made of the other
_PROTOTXTS = ("train_val.prototxt", "deploy.prototxt")


def iteration_of(path: str | Path) -> int:
    """The N of a snapshot's name ``<prefix>_iter_N.caffemodel``."""
    return _named_parts(path)[1]


def by_iteration(paths: Iterable[str | Path]) -> dict[int, Path]:
    """The snapshots of one run by ascending iteration; UserError if they are none, or those of several runs."""
    found: dict[int, Path] = {}
    for path in map(Path, paths):
        prefix, iteration = _named_parts(path)
        if iteration in found:
            raise UserError(f"{path}: iteration {iteration} is that of {found[iteration]} too")
        first = next(iter(found.values()), path)
        if (path.parent, prefix) != (first.parent, _named_parts(first)[0]):
            raise UserError(f"{path}: not a snapshot of the run of {first}; give those of one run, from one folder")
        found[iteration] = path
    if not found:
        raise UserError("no snapshots given; the caffemodels of a run were expected")
    return dict(sorted(found.items()))


def snapshots_in(folder: Path) -> list[Path]:
    """In the folder of a run or that of its snapshots; in no order."""
    return list(folder.glob("*_iter_*.caffemodel")) or list((folder / "snapshots").glob("*_iter_*.caffemodel"))


def movement_in(folder: Path) -> Path | None:
    """The file of a run's folder that has positions over time: an npz, or a position log that is alone or newer, as
    where training has gone on."""
    found = [folder / name for name in _OVER_TIME if (folder / name).is_file()]
    return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)  # the first of two that are as old


def prototxt_in(folder: Path) -> Path | None:
    """The network that a run's folder describes."""
    return next((folder / name for name in _PROTOTXTS if (folder / name).is_file()), None)


def _named_parts(path: str | Path) -> tuple[str, int]:
    match = _SNAPSHOT.fullmatch(Path(path).name)
    if not match:
        raise UserError(f"{path}: not named as a snapshot, <prefix>_iter_<N>.caffemodel, so its iteration is unknown")
    return match[1], int(match[2])
