"""``caffe-acu run``: one run of a table, from its folder to its test."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="train and test one run that `caffe-acu reproduce` has prepared",
        description="Trains the run in FOLDER, or goes on from its last complete snapshot, tests it, and leaves "
        "metrics.csv, test.json and, last, DONE. An interrupt or SIGTERM stops it with a snapshot.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with run.json and the prototxts")
    parser.add_argument(
        "--gpu", type=_gpu_numbers, default=(), metavar="N[,N...]", help="train on these GPUs (default: the CPU)"
    )
    add_gpus(parser, "wait for a place on as many of these GPUs, which runs share, as the run needs")
    parser.add_argument("--threads", type=count, metavar="N", help="of the processor (all cores)")
    parser.add_argument("--minutes", type=count, metavar="N", help="stop, with a snapshot, before so many are over")
    parser.add_argument(
        "--parent", type=int, metavar="PID", help="stop, with a snapshot, when this parent process ends"
    )
    parser.set_defaults(run=_run)


def add_gpus(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--gpus", type=_gpu_numbers, default=(), metavar="N[,N...]", help=f"{text} (default: the CPU)")
    parser.add_argument("--runs-per-gpu", type=count, default=1, metavar="M", help="that share a GPU (1)")


def _gpu_numbers(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(_gpu_number, text.split(","))))


def _gpu_number(text: str) -> int:
    if not text.strip().isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a GPU, such as 0")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: it takes 1 or more")
    return int(text)


def _run(arguments: argparse.Namespace) -> None:
    import os
    import signal
    from contextlib import nullcontext

    from caffe_acu.child_processes import end_with_parent
    from caffe_acu.reproduce.execute import Device, ends_as_interrupts, execute
    from caffe_acu.reproduce.gpus import gpu_place
    from caffe_acu.reproduce.prepare_run import read_settings

    threads = arguments.threads or len(os.sched_getaffinity(0))
    with ends_as_interrupts(arguments.minutes):
        if arguments.parent is not None:
            end_with_parent(arguments.parent, signal.SIGTERM)
        needed = read_settings(arguments.folder).gpus_per_run
        with gpu_place(arguments.gpus, arguments.runs_per_gpu, needed) if arguments.gpus else nullcontext() as place:
            gpus, held = (place.gpus, place.locks) if place else (arguments.gpu, ())
            execute(arguments.folder, Device(threads, gpus, held))
    print(f"{arguments.folder}: done")
