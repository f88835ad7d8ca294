"""``caffe-acu draw``: a network as a picture."""

import argparse
from pathlib import Path

from caffe_acu.cli.choices import add_stage, publishable


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "draw",
        help="draw a network, its ACUs highlighted",
        description="Draws any network of Caffe, with Graphviz. A convolution and the batch normalisation, scale, "
        "activation and dropout after it are one box, with the size of its output (C x H x W) and, for an ACU, its "
        "position sets and synapses. Consecutive equal blocks (of layers named stage1_block2_... or "
        "inception_3a_...) are drawn once.",
        epilog="example: caffe-acu draw models/cvpr2017/plain_acu/deploy.prototxt -o plain_acu.svg",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="a prototxt")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="OUT", help="file to write (.svg, .png or .pdf)"
    )
    parser.add_argument(
        "--phase", choices=("test", "train"), default="test", help="phase to draw the network of (default: test)"
    )
    add_stage(parser)
    parser.add_argument(
        "--input", type=int, nargs=3, metavar=("C", "H", "W"), help="size of the images of a data layer"
    )
    parser.add_argument("--full", action="store_true", help="draw every block, repeated ones too")
    parser.add_argument(
        "--columns", type=int, metavar="N", help="side by side, in up to N columns (default: what makes a good page)"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.drawing.columns import MOST_COLUMNS
    from caffe_acu.drawing.network import draw_network
    from caffe_acu.drawing.render import write_drawing
    from caffe_acu.errors import UserError, naming
    from caffe_acu.net_param import read_prototxt

    if arguments.columns is not None and not 1 <= arguments.columns <= MOST_COLUMNS:
        raise UserError(f"--columns {arguments.columns}: must be between 1 and {MOST_COLUMNS}")
    net = read_prototxt(arguments.net)
    net.state.stage.extend(arguments.stage)
    with naming(arguments.net):
        drawing = draw_network(
            net,
            phase=arguments.phase,
            input_shape=tuple(arguments.input) if arguments.input else None,
            full=arguments.full,
            columns=arguments.columns,
        )
    write_drawing(drawing.dot, arguments.out, f"Made by `caffe-acu draw {publishable(arguments.net)}`.")
    if drawing.without_sizes:
        print(f"{arguments.out}: drawn without sizes: {drawing.without_sizes}")
