"""``caffe-acu convert conv``: a trained network with plain convolutions in place of ACUs."""

import argparse
from pathlib import Path

from caffe_acu.cli.choices import explained, publishable, typed
from caffe_acu.convert.options import WIDE, ConvolutionOptions


def register(kinds) -> None:
    default = ConvolutionOptions()
    parser = kinds.add_parser(
        "conv",
        help="ACUs as plain convolutions, for any Caffe, OpenCV and others",
        description="A trained ACU is a convolution with a larger kernel that is mostly 0 (Theorem 2 of the grouped "
        "paper). This command makes one of every ACU, GroupedACU and AConvFast: with the smallest kernel that its "
        "positions allow and the same outputs everywhere, at borders and for inputs of any size too. Groups stay "
        "groups. Before anything is written, every layer and the whole network are run on random inputs; a difference "
        "that rounding does not explain is refused. Folded layers are gone, and so are blobs between them; all other "
        "names stay.",
        epilog="example: caffe-acu convert conv models/cvpr2017/plain_acu/deploy.prototxt plain_acu.caffemodel "
        "-o plain_deployed --fold",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="its deploy prototxt")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="its caffemodel")
    parser.add_argument(
        "-o", "--out", type=Path, required=True, metavar="DIR",
        help="folder for deploy.prototxt, weights.caffemodel and report.json",
    )  # fmt: skip
    parser.add_argument(
        "--fold",
        action="store_true",
        help="also fold BatchNorm, Scale and Bias into the convolution or inner product that they follow, where "
        "nothing else reads what lies between",
    )
    parser.add_argument(
        "--max-kernel", type=int, default=default.max_kernel, metavar="N",
        help=f"largest side of a kernel, in pixels ({default.max_kernel}); what becomes of layers beyond, --wide says",
    )  # fmt: skip
    parser.add_argument("--wide", choices=WIDE, default=default.wide, help=explained(WIDE, default.wide))
    parser.add_argument(
        "--prune", type=float, metavar="T",
        help="drop the taps of ACUs that are smaller than T times the largest of their layer. Outputs change, by how "
        "much is told",
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.deployment_files import deploy_files
    from caffe_acu.convert.deployment_report import as_text

    options = ConvolutionOptions(arguments.fold, arguments.max_kernel, arguments.wide, arguments.prune)
    deployment, files = deploy_files(arguments.net, arguments.weights, arguments.out, options, _command(arguments))
    print(as_text(deployment))
    print(f"wrote {', '.join(map(str, files))}")


def _command(arguments: argparse.Namespace) -> str:
    """What was typed, without the name of the output."""
    import shlex

    default = ConvolutionOptions()
    words = ["caffe-acu", "convert", "conv", publishable(arguments.net), publishable(arguments.weights)]
    words += ["--fold"] if arguments.fold else []
    words += typed(
        ("--max-kernel", arguments.max_kernel, default.max_kernel),
        ("--wide", arguments.wide, default.wide),
        ("--prune", arguments.prune, default.prune),
    )
    return shlex.join(words)
