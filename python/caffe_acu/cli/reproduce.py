"""``caffe-acu reproduce``: a table or a figure of the papers, from data to the finished thing."""

import argparse
from pathlib import Path

from caffe_acu.cli.run import add_gpus, count
from caffe_acu.errors import UserError


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "reproduce",
        help="train and test all networks of a table or a figure of the papers",
        description="Trains every network of a table, as often as the paper did, tests it, and makes the table beside "
        "the paper's numbers in RESULTS/PAPER; or those of a figure, and draws it. Run the same command again after an "
        "interruption: it goes on from the last snapshots. A run that fails does not stop the others.",
        epilog="example: caffe-acu reproduce cvpr2017 table2 --data cifar10=/data/cifar10/lmdb --scale 64",
    )
    parser.add_argument("paper", metavar="PAPER", help="cvpr2017 or grouped")
    parser.add_argument("table", metavar="NAME", help="table2, ... , poster_ablation, section433; figure4, ...")
    parser.add_argument(
        "--scale", type=int, default=1, metavar="N", help="shorten every schedule N times: a trial, not comparable"
    )
    parser.add_argument("--seeds", type=int, metavar="K", help="runs of each network (as many as the paper averaged)")
    parser.add_argument(
        "--data",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="where `caffe-acu data` has put cifar10, cifar100, places365 or imagenet; may be repeated",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="test on the first N images only")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="(results)")
    add_gpus(parser, "train on these GPUs")
    parser.add_argument(
        "--gpus-per-run",
        type=count,
        default=1,
        metavar="N",
        help="that train a run together, each with the N-th part of its batch (1)",
    )
    parser.add_argument("--cores", type=int, metavar="N", help="of the CPU; on a cluster, of a job (all of this one)")
    parser.add_argument(
        "--executor", default="local", metavar="NAME", help="of Snakemake, e.g. slurm; needs --profile (local)"
    )
    parser.add_argument("--profile", type=Path, metavar="DIR", help="a Snakemake profile, e.g. scripts/slurm")
    parser.add_argument(
        "--dry-run", action="store_true", help="train nothing; print what would run, how long, and the disk it needs"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    import os

    from caffe_acu.reproduce.conduct import Order, check_batches, check_data_names, reproduce
    from caffe_acu.reproduce.dry_run import dry_run
    from caffe_acu.reproduce.plan import plan
    from caffe_acu.reproduce.prepare_run import Choices
    from caffe_acu.reproduce.workflow import Machines

    if arguments.seeds is not None and arguments.seeds < 1:
        raise UserError(f"--seeds is {arguments.seeds}: it takes 1 or more")
    table = plan(arguments.paper, arguments.table, arguments.seeds)
    data = dict(map(_named_folder, arguments.data))
    check_data_names(table, data)
    machines = Machines(
        cores=len(os.sched_getaffinity(0)) if arguments.cores is None else arguments.cores,
        gpus=arguments.gpus,
        runs_per_gpu=arguments.runs_per_gpu,
        executor=arguments.executor,
        profile=arguments.profile,
        gpus_per_run=arguments.gpus_per_run,
    )
    check_batches(table, machines.gpus_per_run)
    choices = Choices(arguments.scale, arguments.limit, data, machines.gpus_per_run)
    order = Order(table, choices, arguments.results, machines)
    if arguments.dry_run:
        print("\n".join(dry_run(order)))
        return 0
    return reproduce(order)


def _named_folder(text: str) -> tuple[str, Path]:
    name, equals, folder = text.partition("=")
    if not equals or not name or not folder:
        raise UserError(f"--data {text}: it takes NAME=FOLDER, as in --data cifar10=data/cifar10/lmdb")
    return name, Path(folder)
