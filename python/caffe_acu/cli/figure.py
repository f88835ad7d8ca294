"""``caffe-acu figure``: a figure of a paper, from our runs."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "figure",
        help="draw a figure of a paper from the runs that are there",
        description="Draws a figure of a paper that comes from training: 4, 5, 6, 8, 9, 10 or 12 of cvpr2017; 4 or 7 "
        "to 12 of grouped. It trains nothing: `caffe-acu reproduce PAPER figure<N>` trains what a figure needs.",
        epilog="example: caffe-acu figure cvpr2017 5 -o figure5.pdf",
    )
    parser.add_argument("paper", metavar="PAPER", help="cvpr2017 or grouped")
    parser.add_argument("number", type=_number, metavar="N", help="the number that the paper gives it")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="(results)")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="runs of the schedule divided by N (1)")
    parser.add_argument(
        "--seed", type=int, metavar="K", help="of the runs that are shown (1; for accuracies, the means of all)"
    )
    parser.add_argument(
        "-o", "--out", type=Path, metavar="OUT", help=".svg, .png or .pdf (<results>/<paper>/figure<N>.svg)"
    )
    parser.set_defaults(run=_run)


def _number(text: str) -> int:
    """Of "5", and of "figure5", as `caffe-acu reproduce` calls it."""
    number = text.removeprefix("figure")
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number of a figure, such as 5")
    return int(number)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.plots.figures import save
    from caffe_acu.reproduce.draw_figure import draw_figure
    from caffe_acu.reproduce.figures import find_figure
    from caffe_acu.reproduce.results import results_folder

    for name in ("scale", "seed"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise UserError(f"--{name} {value}: 1 or more was expected")
    figure = find_figure(arguments.paper, arguments.number)
    place = results_folder(arguments.results, arguments.scale) / figure.paper
    out = arguments.out or place / f"{figure.id}.svg"
    save(draw_figure(figure, arguments.results, arguments.scale, arguments.seed), out)
    print(out)
