"""What commands share: options, help texts for those that take one of several words, what was typed in a file."""

import argparse
from collections.abc import Mapping
from pathlib import Path


def explained(meanings: Mapping[str, str], default: str) -> str:
    """What each word means, and which is the default."""
    return "; ".join(f"{name}: {meaning}" for name, meaning in meanings.items()) + f" (default: {default})"


def add_stage(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stage",
        action="append",
        default=[],
        metavar="NAME",
        help="take in the layers of this stage, as `caffe test --stage` does; may be repeated",
    )


def add_layers(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="only layers of these names; *, ? and [] as in a shell",
    )


def typed(*options: tuple[str, object, object]) -> list[str]:
    """Of options, their values and defaults, the words that one has to type."""
    return [word for option, value, default in options if value != default for word in (option, str(value))]


def publishable(path: Path) -> str:
    """A file's name for another file, which may be published: without a machine's folders."""
    return path.name if path.is_absolute() else str(path)
