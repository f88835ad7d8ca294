"""``caffe-acu convert``: networks from one form to another."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "convert",
        help="bring the authors' files into our form",
        description="Turns files from one form into another. Outputs of the network stay the same.",
    )
    kinds = parser.add_subparsers(title="conversions", dest="conversion", metavar="<conversion>", required=True)
    ring = kinds.add_parser(
        "ring-to-raster",
        help="the authors' AConvFast layers as ACUs",
        description="The authors' layers keep their synapses in the order of a ring around the origin; ours, and "
        "ordinary convolutions, keep taps row by row. Weights of the one loaded into the other would go unnoticed. "
        "This command rewrites a caffemodel or a prototxt of theirs, reordering weights and positions.",
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
        help="synapses to the nearest pixel (ACU-Round)",
        description="Writes a trained caffemodel anew, every synapse at the nearest pixel: what the ACU-Round of the "
        "CVPR paper's poster starts from (models/cvpr2017/plain_acu_round).",
    )
    rounded.add_argument("input", type=Path, metavar="IN", help="caffemodel")
    rounded.add_argument("output", type=Path, metavar="OUT", help="caffemodel to write")
    rounded.set_defaults(run=_run_round_positions)
    fresh = kinds.add_parser(
        "fresh-weights",
        help="random weights around learned positions (ACU-Fixed)",
        description="Writes a caffemodel of NET, as its fillers start it, with the positions of a trained one: what "
        "the grouped paper's ACU-Fixed starts from (models/grouped/resnet29_acu_fixed).",
    )
    fresh.add_argument("net", type=Path, metavar="NET", help="prototxt with fillers and no data layer (deploy)")
    fresh.add_argument("trained", type=Path, metavar="TRAINED", help="caffemodel with ACU layers of the same names")
    fresh.add_argument("output", type=Path, metavar="OUT", help="caffemodel to write")
    fresh.add_argument("--seed", type=int, default=1, metavar="N", help="of the random weights (1)")
    fresh.set_defaults(run=_run_fresh_weights)


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
    from caffe_acu.convert.starts import round_positions
    from caffe_acu.errors import UserError
    from caffe_acu.net_param import read_net, write_atomically

    net = read_net(arguments.input)
    try:
        layers = round_positions(net)
    except UserError as error:
        raise UserError(f"{arguments.input}: {error}") from error
    write_atomically(arguments.output, net.SerializeToString())
    print(f"rounded the positions of {len(layers)} layers: {', '.join(layers)}")


def _run_fresh_weights(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.starts import fresh_weights
    from caffe_acu.net_param import write_atomically

    weights = fresh_weights(arguments.net, arguments.trained, arguments.seed)
    write_atomically(arguments.output, weights.SerializeToString())
