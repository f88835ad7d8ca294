"""``caffe-acu new``: convolutions of a network as ACUs."""

import argparse
from pathlib import Path

from caffe_acu.cli.activation import add_choice, choice_of, described, print_left, words_of
from caffe_acu.cli.choices import publishable, typed
from caffe_acu.convert.options import PositionOptions


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "new",
        help="make a network of yours active",
        description="Turns convolutions of a network with kernels larger than 1x1 into ACUs, which start as these "
        "convolutions: with the same weights the outputs are the same until positions move. NET is any prototxt, "
        "train_val or deploy; its comments are not kept. Rates of weights and biases stay; positions learn at "
        "--position-lr-mult times the solver's rate, without decay (the papers: 0.01 times 0.1). Layers that share "
        "weights share positions too, if these start alike. Nothing is written if anything is wrong.",
        epilog="example: caffe-acu new train_val.prototxt -o active.prototxt --weights net.caffemodel "
        "--out-weights active.caffemodel --except conv1, then: caffe train --weights active.caffemodel with a solver "
        "whose net is active.prototxt",
    )
    default = PositionOptions()
    parser.add_argument("net", type=Path, metavar="NET", help="a prototxt")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="the prototxt to write")
    parser.add_argument("--weights", type=Path, metavar="FILE", help="a caffemodel with the weights of NET")
    parser.add_argument("--out-weights", type=Path, metavar="FILE", help="write them, with positions, to this one")
    add_choice(parser)
    parser.add_argument(
        "--warmup", type=int, default=default.warmup_iter, metavar="N",
        help=f"first iterations with fixed positions ({default.warmup_iter}; ACU paper: a sixth to an eighth of all)",
    )  # fmt: skip
    parser.add_argument(
        "--position-lr-mult", type=float, default=default.lr_mult, metavar="F", help=f"({default.lr_mult})"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.activate import Files, activate_files

    files = Files(arguments.net, arguments.out, arguments.weights, arguments.out_weights)
    positions = PositionOptions(arguments.position_lr_mult, arguments.warmup, arguments.position_sets)
    activation = activate_files(files, choice_of(arguments), positions, f"Made by `{_command(arguments)}`.")
    width = max(len(layer.name) for layer in activation.layers)
    for layer in activation.layers:
        print(f"{layer.name:{width}}  {described(layer)}")
    print(f"{len(activation.layers)} convolution(s) active, with {activation.coordinates:,} coordinates that learn")
    print_left(activation)


def _command(arguments: argparse.Namespace) -> str:
    """What was typed, without the names of outputs and weights, and in one order."""
    import shlex

    default = PositionOptions()
    words = typed(
        ("--warmup", arguments.warmup, default.warmup_iter),
        ("--position-lr-mult", arguments.position_lr_mult, default.lr_mult),
    )
    return shlex.join(["caffe-acu", "new", publishable(arguments.net), *words_of(arguments), *words])
