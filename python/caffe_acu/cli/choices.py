"""Options that several commands have, and help texts for those that take one of several words."""

import argparse
from collections.abc import Mapping


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
