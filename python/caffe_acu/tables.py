"""Tables as text and as Markdown."""

from collections.abc import Sequence

Line = tuple[str, ...]
Table = list[Line]  # the first line is the head
# Columns of numbers, which end at the right.
_NUMBERS = frozenset(
    ("layers", "parameters", "multiply-adds", "in short", "sets", "K", "synapse")
    + ("moved", "at most", "radius", "spread", "taps", "zeros", "mean", "rms", "dx", "dy")
    + ("dropped", "difference", "of limit")
    + ("nodes", "workers", "ms", "after", "overlapped")
)


def aligned(table: Table) -> str:
    """In columns, for a terminal."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(_justified(line, table[0], widths)).rstrip() for line in table)


def _justified(line: Line, head: Line, widths: Sequence[int]) -> list[str]:
    return [
        cell.rjust(width) if _is_number(title) else cell.ljust(width)
        for cell, title, width in zip(line, head, widths, strict=True)
    ]


def markdown(table: Table) -> str:
    rule = tuple("---:" if _is_number(title) else "---" for title in table[0])
    return "\n".join("| " + " | ".join(line) + " |" for line in (table[0], rule, *table[1:]))


def _is_number(title: str) -> bool:
    """By what stands after the colon, where there is one: "10 Gb/s: ms"."""
    return title.rpartition(": ")[2] in _NUMBERS
