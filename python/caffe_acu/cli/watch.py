"""``caffe-acu watch``: curves of runs in progress."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "watch",
        help="show the curves of runs in progress in the terminal",
        description="Draws loss and test error of runs over their iterations, anew as their logs grow, until all are "
        "done or q is pressed. A run is a folder with train.log, such as results/grouped/runs/resnet29_acu/seed1.",
    )
    parser.add_argument("runs", type=Path, nargs="+", metavar="RUN", help="the folder of a run")
    parser.add_argument("--once", action="store_true", help="draw one picture and leave, as where there is no terminal")
    parser.add_argument(
        "--tensorboard", type=Path, metavar="DIR", help="write curves and positions as TensorBoard's event files too"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from contextlib import ExitStack

    from caffe_acu.reproduce.tensorboard import EventFolder, check_tensorboard
    from caffe_acu.reproduce.watch import watch

    with ExitStack() as stack:
        kept = []
        if arguments.tensorboard:
            check_tensorboard()
            kept = [stack.enter_context(EventFolder(run, arguments.tensorboard)) for run in arguments.runs]

        def write() -> None:
            for events in kept:
                events.update()

        watch(arguments.runs, arguments.once, write)
