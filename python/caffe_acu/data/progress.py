"""Progress on standard error, for people only: nothing is shown where it is not a terminal."""

from collections.abc import Iterator

from tqdm import tqdm


def progress(description: str, total: int | None, unit: str = " images", scale: bool = False) -> tqdm:
    """A bar to be used as a context manager; ``update(n)`` advances it. ``scale``: show k and M of the unit."""
    return tqdm(desc=description, total=total, unit=unit, unit_scale=scale, disable=None, dynamic_ncols=True)


def slices(count: int, step: int = 1000) -> Iterator[slice]:
    """``range(count)`` cut into pieces of ``step``, which is what bounds the memory of every stage."""
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))
