"""``caffe-acu positions stats | diff``: what was learned, in numbers, and how far two networks are apart."""

import argparse
from pathlib import Path

SOURCE = (
    "a caffemodel, a prototxt (which tells where synapses start), a folder of snapshots, a run, a position "
    "log, or an npz of it"
)


def register(commands) -> None:
    stats = commands.add_parser(
        "stats",
        help="statistics of every layer",
        description="Prints statistics of every ACU layer: movement, radius, extent, spread between position sets, the "
        "convolution it is equal to, and what a unit sees of the image through the network. FILE: "
        f"{SOURCE}; several FILEs are snapshots of a run. Of several moments the last.",
        epilog="example: caffe-acu positions stats results/cvpr2017/runs/plain_acu/seed1 --format markdown",
    )
    stats.add_argument("files", nargs="+", type=Path, metavar="FILE")
    stats.add_argument(
        "--net", type=Path, metavar="PROTOTXT", help="the network, where FILE does not have it (a log, an npz)"
    )
    stats.add_argument("--iteration", type=int, metavar="N", help="of a run, a log or several snapshots")
    stats.add_argument("--format", choices=("text", "markdown", "csv", "json"), default="text", help="(text)")
    stats.set_defaults(run=_run_stats)
    diff = commands.add_parser(
        "diff",
        help="how far two networks are apart",
        description="Prints how far the synapses of B are from those of A: each layer, then each synapse. A and B: "
        f"{SOURCE}; of several moments the last, or those of --iterations.",
        epilog="examples: caffe-acu positions diff seed1/snapshots seed2/snapshots; "
        "caffe-acu positions diff positions.log --iterations 10000 64000",
    )
    diff.add_argument("first", type=Path, metavar="A")
    diff.add_argument("second", type=Path, nargs="?", metavar="B", help="with --iterations A again, if not given")
    diff.add_argument("--iterations", type=int, nargs=2, metavar=("I", "J"), help="of A and of B")
    diff.add_argument("--format", choices=("text", "json"), default="text", help="(text)")
    diff.set_defaults(run=_run_diff)


def _run_stats(arguments: argparse.Namespace) -> None:
    import json

    from caffe_acu.inspection import report
    from caffe_acu.inspection.statistics import statistics

    found = statistics(arguments.files, arguments.net, arguments.iteration)
    if arguments.format == "json":
        print(json.dumps(report.as_data(found), indent=2))
    else:
        forms = {"text": report.as_text, "markdown": report.as_markdown, "csv": report.as_csv}
        print(forms[arguments.format](found))


def _run_diff(arguments: argparse.Namespace) -> None:
    import json

    from caffe_acu.errors import UserError
    from caffe_acu.inspection.difference import differences
    from caffe_acu.inspection.report import difference_data, difference_text
    from caffe_acu.positions import read

    first, second = arguments.first, arguments.second or arguments.first
    moments = arguments.iterations or (None, None)
    if not (arguments.second or arguments.iterations):
        raise UserError(f"{first}: one alone has no difference; give another, or --iterations I J")
    layers = [read(file, iteration=moment) for file, moment in zip((first, second), moments, strict=True)]
    names = [
        str(file) if moment is None else f"{file}, iteration {moment}"
        for file, moment in zip((first, second), moments, strict=True)
    ]
    try:
        found = differences(*layers)
    except UserError as error:
        raise UserError(f"{names[0]} and {names[1]}: {error}") from error
    if arguments.format == "json":
        print(json.dumps(difference_data(*names, found), indent=2))
    else:
        print(difference_text(*names, found))
