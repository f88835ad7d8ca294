"""``caffe-acu convert``: networks from one form to another."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "convert",
        help="bring the authors' files into our form; make weights to start from",
        description="Makes caffemodels and prototxts of others.",
    )
    kinds = parser.add_subparsers(title="conversions", dest="conversion", metavar="<conversion>", required=True)
    ring = kinds.add_parser(
        "ring-to-raster",
        help="the authors' AConvFast layers as ACUs",
        description="The authors' layers keep their synapses in the order of a ring around the origin; ours, and "
        "ordinary convolutions, keep taps row by row. Weights of the one loaded into the other would go unnoticed. "
        "This command rewrites a caffemodel or a prototxt of theirs, reordering weights and positions. Outputs stay "
        "the same.",
        epilog="example: caffe-acu convert ring-to-raster plain_iter_64000.caffemodel ours.caffemodel --names plain",
    )
    ring.add_argument("input", type=Path, metavar="IN", help="caffemodel or prototxt with AConvFast layers")
    ring.add_argument("output", type=Path, metavar="OUT", help="file of the same kind to write")
    ring.add_argument(
        "--names", choices=("plain",), help="also rename layers; plain: from the authors' plain network to ours"
    )
    ring.set_defaults(run=_run_ring_to_raster)
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


def _run_ring_to_raster(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.ring_to_raster import ring_to_raster
    from caffe_acu.errors import UserError
    from caffe_acu.net_param import format_prototxt, read_net, rename, write_atomically
    from caffe_acu.nets.plain_authors import our_blobs, our_names

    net = read_net(arguments.input)
    try:
        converted = ring_to_raster(net)
        if arguments.names:
            present = {layer.name for layer in net.layer}
            rename(net, {old: new for old, new in our_names().items() if old in present}, our_blobs())
    except UserError as error:
        raise UserError(f"{arguments.input}: {error}") from error
    has_weights = any(layer.blobs for layer in net.layer)
    write_atomically(arguments.output, net.SerializeToString() if has_weights else format_prototxt(net))
    print(f"converted {len(converted)} layers: {', '.join(converted)}")


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
