"""``caffe-acu train``: trains, with several processes if mpirun or srun starts them."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "train",
        help="train a network, with several processes or machines",
        description="Trains as `caffe train` does. Started by mpirun or srun, the processes train one network "
        "together: each reads its share of the records, gradients are averaged, rank 0 logs and takes snapshots. "
        "batch_size is that of each process, unless --divide-batch is given.",
        epilog="examples: mpirun -np 4 caffe-acu train --solver solver.prototxt --resume auto; "
        "srun -N 2 --ntasks-per-node 4 caffe-acu train --solver solver.prototxt (docs/cluster.md)",
    )
    parser.add_argument("--solver", type=Path, required=True, metavar="FILE", help="a solver's prototxt")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument("--weights", metavar="FILES", help="begin with these caffemodels (commas between them)")
    begin.add_argument("--snapshot", type=Path, metavar="FILE", help="go on from this solverstate")
    begin.add_argument("--resume", choices=("auto",), help="go on from the last good snapshot, if there is one")
    parser.add_argument(
        "--gpu", metavar="LIST|all|none", help="GPUs of each machine, one for a process (default: as solver_mode says)"
    )
    parser.add_argument(
        "--divide-batch", action="store_true", help="divide the batch_size of training by the number of processes"
    )
    parser.add_argument(
        "--overlap", type=_positive, default=0, metavar="MIB", help="send gradients while others are computed, so much "
        "at a time (default: all at the end)"
    )  # fmt: skip
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=1800,
        metavar="S",
        help="give up when others are silent for so long (1800)",
    )
    parser.add_argument("--timing", type=Path, metavar="FILE", help="write what each iteration took, as lines of JSON")
    parser.add_argument("--level", type=int, default=0, help="of the net's state")
    parser.add_argument("--stage", default="", metavar="NAMES", help="of the net's state (commas between them)")
    for name, default in (("sigint", "stop"), ("sighup", "snapshot")):
        parser.add_argument(
            f"--{name}-effect", f"--{name}_effect", choices=("stop", "snapshot", "none"), default=default,
            help=f"what SIG{name[3:].upper()} does ({default})",
        )  # fmt: skip
    parser.set_defaults(run=_run)


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text}: more than 0 is needed")
    return value


def _run(arguments: argparse.Namespace) -> int:
    from caffe_acu.distributed.train import TrainOptions, train

    return train(
        TrainOptions(
            solver=arguments.solver,
            weights=tuple(map(Path, arguments.weights.split(","))) if arguments.weights else (),
            snapshot=arguments.snapshot,
            resume=arguments.resume == "auto",
            level=arguments.level,
            stages=tuple(filter(None, arguments.stage.split(","))),
            gpu=arguments.gpu,
            divide_batch=arguments.divide_batch,
            overlap=arguments.overlap,
            timeout=arguments.timeout,
            timing=arguments.timing,
            sigint_effect=arguments.sigint_effect,
            sighup_effect=arguments.sighup_effect,
        )
    )
