"""``caffe-acu convert round-positions | take-positions``: what a training with frozen positions starts from."""

import argparse
from pathlib import Path


def register(kinds) -> None:
    rounded = kinds.add_parser(
        "round-positions",
        help="learned positions at whole pixels (ACU-Round of the poster)",
        description="Rounds all positions in a caffemodel to whole pixels. Outputs change, until the weights have been "
        "tuned to them, for which the poster freezes the positions.",
    )
    _add_trained_and_start(rounded)
    rounded.set_defaults(run=_run_round_positions)
    taken = kinds.add_parser(
        "take-positions",
        help="learned positions with random weights (ACU-Fixed of the grouped paper)",
        description="Makes random weights for a network, as Caffe would to train it, but with the positions that "
        "another training has learned.",
    )
    _add_trained_and_start(taken)
    taken.add_argument("--net", type=Path, required=True, metavar="NET", help="the network, a deploy prototxt")
    taken.add_argument("--seed", type=int, default=1, metavar="N", help="of the random weights (1)")
    taken.set_defaults(run=_run_take_positions)


def _add_trained_and_start(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trained", type=Path, metavar="TRAINED", help="the caffemodel of a network with ACUs")
    parser.add_argument("start", type=Path, metavar="START", help="the caffemodel to write")


def _run_round_positions(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.start_weights import round_positions
    from caffe_acu.errors import UserError
    from caffe_acu.net_param import read_net, write_atomically

    weights = read_net(arguments.trained)
    try:
        rounded = round_positions(weights)
    except UserError as error:
        raise UserError(f"{arguments.trained}: {error}") from error
    write_atomically(arguments.start, weights.SerializeToString())
    print(f"rounded the positions of {len(rounded)} layers: {', '.join(rounded)}")


def _run_take_positions(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.start_weights import random_weights, take_positions
    from caffe_acu.errors import UserError
    from caffe_acu.net_param import read_net, write_atomically

    trained = read_net(arguments.trained)
    weights = random_weights(arguments.net, arguments.seed)
    try:
        taken = take_positions(weights, trained)
    except UserError as error:
        raise UserError(f"{arguments.trained}: {error}") from error
    write_atomically(arguments.start, weights.SerializeToString())
    print(f"took the positions of {len(taken)} layers: {', '.join(taken)}")
