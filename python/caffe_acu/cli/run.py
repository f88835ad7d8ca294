"""``caffe-acu run``: one run of a table, from its folder to its test."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "run",
        help="train and test one run that `caffe-acu reproduce` has prepared",
        description="Trains the run in FOLDER, or goes on from its last complete snapshot, tests it, and leaves "
        "metrics.csv, test.json and, last, DONE. An interrupt stops it with a snapshot.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="with run.json and the prototxts")
    add_gpus(parser, "--gpu", "train on this GPU, or on the one of several that has the fewest runs")
    parser.add_argument("--threads", type=int, metavar="N", help="of the processor (all cores)")
    parser.add_argument(
        "--parent", type=int, metavar="PID", help="stop, with a snapshot, when this parent process ends"
    )
    parser.set_defaults(run=_run)


def add_gpus(parser: argparse.ArgumentParser, name: str, text: str) -> None:
    parser.add_argument(
        name, dest="gpus", type=gpu_numbers, default=(), metavar="N[,N...]", help=f"{text} (default: the CPU)"
    )
    parser.add_argument("--runs-per-gpu", type=count, default=1, metavar="M", help="that share a GPU (1)")


def gpu_numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(dict.fromkeys(int(part) for part in text.split(",")))
    if min(numbers) < 0:
        raise ValueError
    return numbers


def count(text: str) -> int:
    if int(text) < 1:
        raise ValueError
    return int(text)


def _run(arguments: argparse.Namespace) -> None:
    import os
    from contextlib import nullcontext

    from caffe_acu.reproduce.execute import Device, execute
    from caffe_acu.reproduce.locks import gpu_slot

    threads = arguments.threads or len(os.sched_getaffinity(0))
    slot = gpu_slot(arguments.gpus, arguments.runs_per_gpu) if arguments.gpus else nullcontext(None)
    with slot as gpu:
        execute(arguments.folder, Device(threads, gpu, arguments.parent))
    print(f"{arguments.folder}: done")
