"""``caffe-acu new``: convolutions of a network as ACUs."""

import argparse
from pathlib import Path

from caffe_acu.cli.choices import explained, publishable
from caffe_acu.convert.options import WHICH, Choice, PositionOptions


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
    parser.add_argument("--which", choices=WHICH, default=Choice().which, help=explained(WHICH, Choice().which))
    parser.add_argument(
        "--layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="only layers of these names; *, ? and [] as in a shell",
    )
    parser.add_argument("--except", nargs="+", default=[], metavar="PATTERN", dest="excluded", help="but none of these")
    parser.add_argument(
        "--warmup", type=int, default=default.warmup_iter, metavar="N",
        help=f"first iterations with fixed positions ({default.warmup_iter}; ACU paper: a sixth to an eighth of all)",
    )  # fmt: skip
    parser.add_argument(
        "--position-lr-mult", type=float, default=default.lr_mult, metavar="F", help=f"({default.lr_mult})"
    )
    parser.add_argument(
        "--position-sets", type=int, metavar="N",
        help="position sets of a layer (one for each of its groups, which are left as they are; 1: one for all)",
    )  # fmt: skip
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.activate import Files, activate_files

    files = Files(arguments.net, arguments.out, arguments.weights, arguments.out_weights)
    choice = Choice(arguments.which, tuple(arguments.layers), tuple(arguments.excluded))
    positions = PositionOptions(arguments.position_lr_mult, arguments.warmup, arguments.position_sets)
    activation = activate_files(files, choice, positions, f"Made by `{_command(arguments)}`.")
    width = max(len(layer.name) for layer in activation.layers)
    for layer in activation.layers:
        kernel = "x".join(map(str, layer.kernel))
        note = f", positions shared with {layer.positions_of}" if layer.positions_of else ""
        note += f", weights shared with {layer.weights_of}, which stays a convolution" if layer.weights_of else ""
        print(f"{layer.name:{width}}  {layer.type} {kernel}, position sets: {layer.sets}{note}")
    print(f"{len(activation.layers)} convolution(s) active, with {activation.coordinates:,} coordinates that learn")
    for reason in dict.fromkeys(activation.left.values()):
        names = [name for name, why in activation.left.items() if why == reason]
        print(f"left, {reason}: {', '.join(names)}")


def _command(arguments: argparse.Namespace) -> str:
    """What was typed, without the names of outputs and weights, and in one order."""
    import shlex

    default = PositionOptions()
    words = ["caffe-acu", "new", publishable(arguments.net), "--which", arguments.which]
    for option, patterns in (("--layers", arguments.layers), ("--except", arguments.excluded)):
        words += [option, *patterns] if patterns else []
    for option, value, usual in (
        ("--warmup", arguments.warmup, default.warmup_iter),
        ("--position-lr-mult", arguments.position_lr_mult, default.lr_mult),
        ("--position-sets", arguments.position_sets, default.sets),
    ):
        words += [option, str(value)] if value != usual else []
    return shlex.join(words)
