"""Progress on standard error: a bar on a terminal, and a line a minute elsewhere, e.g. in a cluster's log."""

import sys
from collections.abc import Iterator

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 60
_LINE = "{desc}: {n_fmt} of {total_fmt}, {rate_fmt}, {elapsed} so far, {remaining} left"
_LINE_WITHOUT_TOTAL = "{desc}: {n_fmt}, {rate_fmt}, {elapsed} so far"


def progress(description: str, total: int | None, unit: str = " images", scale: bool = False, done: int = 0) -> tqdm:
    """A bar to be used as a context manager; ``update(n)`` advances it.

    ``total`` None: it is not known. ``scale``: show k and M of the unit. ``done``: so much was
    done before, which says nothing about the rate.
    """
    if sys.stderr.isatty():
        return tqdm(desc=description, total=total, unit=unit, unit_scale=scale, initial=done, dynamic_ncols=True)
    # What is done within the first minute says nothing.
    return tqdm(
        desc=description,
        total=total,
        unit=unit,
        unit_scale=scale,
        initial=done,
        file=_Lines(),
        delay=_SECONDS_BETWEEN_LINES,
        mininterval=_SECONDS_BETWEEN_LINES,
        bar_format=_LINE if total is not None else _LINE_WITHOUT_TOTAL,
    )


class _Lines:
    """A text stream that makes lines of what tqdm writes over itself."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    def flush(self) -> None:
        pass


def slices(count: int, step: int = 1000) -> Iterator[slice]:
    """``range(count)`` cut into pieces of ``step``, which is what bounds the memory of every stage."""
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
