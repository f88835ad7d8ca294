"""``caffe-acu models``: writes the generated networks, or tells which files differ from the generators."""

import argparse
from pathlib import Path

from caffe_acu.errors import UserError


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "models",
        help="write the papers' networks (models/)",
        description="Writes every network, solver and readme below a folder from the generators in "
        "caffe_acu.nets. Files that are right already are left alone.",
    )
    parser.add_argument("--root", type=Path, default=Path("models"), help="the folder (default: models)")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file differs")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.nets import zoo

    if arguments.check:
        wrong = zoo.differing(arguments.root)
        if wrong:
            raise UserError(f"{wrong[0]} is not what the generators make; run `caffe-acu models`")
        return
    for path in zoo.write_models(arguments.root):
        print(f"wrote {path}")
