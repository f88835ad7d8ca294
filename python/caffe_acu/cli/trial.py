"""``caffe-acu trial``: the quick start's training, from images to a table and a picture of the shapes."""

import argparse
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
    parser.add_argument("--iterations", type=int, default=500, metavar="N", help="of 64 images (500)")
    parser.add_argument("--warmup", type=int, metavar="N", help="iterations with fixed positions (a quarter)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of weights, data and shuffling (1)")
    parser.add_argument("--limit-train", type=int, metavar="N", help="take N training images of every class")
    parser.add_argument("--limit-test", type=int, metavar="N", help="take N test images of every class")
    parser.add_argument("--overwrite", action="store_true", help="begin anew if OUT holds a trial")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.experiments.report import report
    from caffe_acu.experiments.trial import TrialOptions, run_trial

    options = TrialOptions(
        data=str(Path(arguments.data).resolve()) if arguments.data else None,
        iterations=arguments.iterations,
        warmup_iter=arguments.warmup,
        seed=arguments.seed,
        limit_train=arguments.limit_train,
        limit_test=arguments.limit_test,
    )
    print(report(run_trial(arguments.out, options, arguments.overwrite)), end="")
    print(f"\nFigures, data and snapshots: {arguments.out}")
