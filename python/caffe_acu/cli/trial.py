"""``caffe-acu trial``: the quick start's training, from images to a table and a picture of the shapes."""

import argparse
import time
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "trial",
        help="train the plain network with and without ACUs on a short schedule",
        description="Trains the plain network of the CVPR paper with convolutions and with ACUs, side by side, "
        "and reports errors, curves and the learned shapes in OUT. Run the same command again after an "
        "interruption: it goes on from the last snapshots.",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for everything the trial makes")
    parser.add_argument(
        "--data",
        help="CIFAR-10 (an archive or folder that `caffe-acu data cifar10` reads) or a folder that it made; "
        "default: generated images, on which a one-layer probe is trained too",
    )
    parser.add_argument(
        "--paper",
        action="store_true",
        help="the paper's schedule: rate, steps, warm-up and statistics, to scale if --iterations is not 64000",
    )
    parser.add_argument("--iterations", type=int, metavar="N", help="of 64 images (500; with --paper 64000)")
    parser.add_argument(
        "--warmup", type=int, metavar="N", help="iterations with fixed positions (a quarter; with --paper 10000)"
    )
    parser.add_argument("--gpu", type=int, metavar="N", help="train on this GPU (default: the CPU)")
    parser.add_argument("--in-turn", action="store_true", help="train one network after the other, not side by side")
    parser.add_argument("--minutes", type=float, metavar="M", help="stop after about M minutes, to go on another time")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of weights, data and shuffling (1)")
    parser.add_argument("--limit-train", type=int, metavar="N", help="take N training images of every class")
    parser.add_argument("--limit-test", type=int, metavar="N", help="take N test images of every class")
    parser.add_argument("--overwrite", action="store_true", help="begin anew if OUT holds a trial")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.experiments.report import report
    from caffe_acu.experiments.training import Where
    from caffe_acu.experiments.trial import TrialOptions, run_trial
    from caffe_acu.nets.schedules import CIFAR_ITERATIONS

    options = TrialOptions(
        data=str(Path(arguments.data).resolve()) if arguments.data else None,
        iterations=arguments.iterations or (CIFAR_ITERATIONS if arguments.paper else 500),
        warmup_iter=arguments.warmup,
        seed=arguments.seed,
        limit_train=arguments.limit_train,
        limit_test=arguments.limit_test,
        paper=arguments.paper,
    )
    deadline = None if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    where = Where(arguments.gpu, arguments.in_turn)
    trial = run_trial(arguments.out, options, arguments.overwrite, where, deadline)
    if trial is None:
        print(f"stopped after {arguments.minutes:g} minutes; the same command goes on")
        return
    print(report(trial), end="")
    print(f"\nFigures, data and snapshots: {arguments.out}")
