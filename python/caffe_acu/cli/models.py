"""``caffe-acu models``: lists the generated networks, writes them, or tells which files differ."""

import argparse
from pathlib import Path

from caffe_acu.errors import UserError

_ROOT = Path("models")


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "models",
        help="list the papers' networks, or write them (models/)",
        description="Writes every network, solver and readme below a folder from the generators in "
        "caffe_acu.nets. Files that are right already are left alone.",
    )
    parser.add_argument("--root", type=Path, help=f"the folder (default: {_ROOT}, if it is there)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--list",
        action="store_true",
        help="write nothing; print where each network stands in the papers, its data, parameters and multiply-adds",
    )
    form.add_argument(
        "--check",
        action="store_true",
        help="write nothing; print the files that differ, exit with 1 if any do",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    from caffe_acu.nets import zoo
    from caffe_acu.nets.model_list import model_list

    if arguments.list:
        print(model_list(zoo.all_models()))
        return 0
    root = arguments.root or _ROOT
    if not root.is_dir() and (arguments.check or not arguments.root):
        raise UserError(f"{root}: no such folder; call it from the root of the repository, or name one with --root")
    if arguments.check:
        wrong = zoo.differing(root)
        for path in wrong:
            print(f"{path} is not what the generators make")
        return 1 if wrong else 0
    for path in zoo.write_models(root):
        print(f"wrote {path}")
    return 0
