"""What `caffe-acu new` and `caffe-acu convert acu` share: which convolutions become ACUs, and what is told of them."""

import argparse
from typing import TYPE_CHECKING

from caffe_acu.cli.choices import add_layers, explained, typed
from caffe_acu.convert.options import WHICH, Choice, PositionOptions

if TYPE_CHECKING:
    from caffe_acu.convert.activate import Activated, Activation


def add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--which", choices=WHICH, default=Choice().which, help=explained(WHICH, Choice().which))
    add_layers(parser)
    parser.add_argument("--except", nargs="+", default=[], metavar="PATTERN", dest="excluded", help="but none of these")
    parser.add_argument(
        "--position-sets", type=int, metavar="N",
        help="position sets of a layer (one for each of its groups, which are left as they are; 1: one for all)",
    )  # fmt: skip


def choice_of(arguments: argparse.Namespace) -> Choice:
    return Choice(arguments.which, tuple(arguments.layers), tuple(arguments.excluded))


def words_of(arguments: argparse.Namespace) -> list[str]:
    """The options as one may type them, in one order."""
    words = ["--which", arguments.which]
    for option, patterns in (("--layers", arguments.layers), ("--except", arguments.excluded)):
        words += [option, *patterns] if patterns else []
    return words + typed(("--position-sets", arguments.position_sets, PositionOptions().sets))


def described(layer: "Activated") -> str:
    kernel = "x".join(map(str, layer.kernel))
    note = f", positions shared with {layer.positions_of}" if layer.positions_of else ""
    note += f", weights shared with {layer.weights_of}, which stays a convolution" if layer.weights_of else ""
    return f"{layer.type} {kernel}, position sets: {layer.sets}{note}"


def print_left(activation: "Activation") -> None:
    for reason in dict.fromkeys(activation.left.values()):
        names = [name for name, why in activation.left.items() if why == reason]
        print(f"left, {reason}: {', '.join(names)}")
