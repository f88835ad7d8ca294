"""``caffe-acu convert ring-to-raster``: the authors' layers in our form."""

import argparse
from pathlib import Path


def register(kinds) -> None:
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
    ring.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.convert.ring_to_raster import ring_to_raster
    from caffe_acu.errors import naming
    from caffe_acu.net_param import format_prototxt, read_net, rename, write_atomically
    from caffe_acu.nets.plain_authors import our_blobs, our_names

    net = read_net(arguments.input)
    with naming(arguments.input):
        converted = ring_to_raster(net)
        if arguments.names:
            present = {layer.name for layer in net.layer}
            rename(net, {old: new for old, new in our_names().items() if old in present}, our_blobs())
    has_weights = any(layer.blobs for layer in net.layer)
    write_atomically(arguments.output, net.SerializeToString() if has_weights else format_prototxt(net))
    print(f"converted {len(converted)} layers: {', '.join(converted)}")
