"""``caffe-acu positions export | apply | round | freeze``: learned shapes out of one network and into others."""

import argparse
from pathlib import Path

from caffe_acu.cli.choices import add_layers, publishable
from caffe_acu.cli.positions_numbers import SOURCE

_SHOWN = 4  # pairs of synapses of a layer


def register(commands) -> None:
    _register_export(commands)
    _register_apply(commands)
    _register_round(commands)
    _register_freeze(commands)


def _register_export(commands) -> None:
    export = commands.add_parser(
        "export",
        help="learned shapes as a small file, or in a prototxt",
        description="Writes where the synapses of a network are, in pixels: to a file that can be read, edited and "
        "compared, which `apply` takes; to an npz, which all of `caffe-acu positions` and `plot` read; or, with --net, "
        f"into a prototxt, as explicit positions. SOURCE: {SOURCE}; of several moments the last, or that of "
        "--iteration.",
        epilog="examples: caffe-acu positions export net.caffemodel -o shapes.txt; caffe-acu positions export "
        "net.caffemodel --net train_val.prototxt -o shaped.prototxt --out-weights shaped.caffemodel",
    )
    export.add_argument("source", type=Path, metavar="SOURCE")
    _add_out(export, "OUT", "the file to write: .txt, .csv, .json, .npz, or, with --net, .prototxt")
    export.add_argument("--iteration", type=int, metavar="N", help="of a run or a log")
    add_layers(export)
    export.add_argument(
        "--net", type=Path, metavar="NET", help="the network whose layers are to start at these shapes, a prototxt"
    )
    export.add_argument(
        "--out-weights", type=Path, metavar="FILE",
        help="write the weights of SOURCE, a caffemodel, so that they fit OUT, whose kernels are 1 x K",
    )  # fmt: skip
    export.set_defaults(run=_run_export)


def _register_apply(commands) -> None:
    apply = commands.add_parser(
        "apply",
        help="learned shapes into another network's weights (ACU-Fixed of the grouped paper)",
        description="Gives layers of a caffemodel the positions that layers of the same names have in SHAPES; all else "
        f"stays. SHAPES: a file that `export` wrote, or {SOURCE}. A single position set serves all sets of a layer.",
        epilog="examples: caffe-acu positions apply shapes.txt net.caffemodel -o shaped.caffemodel; caffe-acu "
        "positions apply trained.caffemodel --net deploy.prototxt --seed 2 -o start.caffemodel",
    )
    apply.add_argument("shapes", type=Path, metavar="SHAPES")
    apply.add_argument("weights", type=Path, nargs="?", metavar="WEIGHTS", help="a caffemodel")
    _add_out(apply, "OUT", "the caffemodel to write")
    apply.add_argument(
        "--net", type=Path, metavar="NET",
        help="in place of WEIGHTS: random ones, as Caffe would begin to train this network, a deploy prototxt",
    )  # fmt: skip
    apply.add_argument("--seed", type=int, metavar="N", help="of the random weights (1)")
    apply.add_argument("--iteration", type=int, metavar="N", help="of SHAPES, where that is a run or a log")
    add_layers(apply)
    apply.add_argument(
        "--map", nargs="+", default=[], metavar="OLD=NEW", help="a layer called OLD in SHAPES is NEW in the weights"
    )
    apply.add_argument("--partial", action="store_true", help="pass over layers that only one of the two has")
    apply.set_defaults(run=_run_apply)


def _register_round(commands) -> None:
    rounded = commands.add_parser(
        "round",
        help="learned positions at whole pixels (ACU-Round of the poster)",
        description="Rounds positions in a caffemodel to whole pixels, and prints how far they moved, and which "
        "synapses are at one place now. Outputs change, until the weights have been tuned to them, for which the "
        "poster freezes the positions (`freeze`).",
        epilog="example: caffe-acu positions round net.caffemodel -o rounded.caffemodel",
    )
    rounded.add_argument("weights", type=Path, metavar="WEIGHTS", help="a caffemodel")
    _add_out(rounded, "OUT", "the caffemodel to write")
    rounded.add_argument("--step", type=float, default=1, metavar="F", help="to multiples of so many pixels (1)")
    add_layers(rounded)
    rounded.set_defaults(run=_run_round)


def _register_freeze(commands) -> None:
    freeze = commands.add_parser(
        "freeze",
        help="a network whose positions no longer learn",
        description="Writes a network whose ACUs keep their positions, those of a caffemodel or those that it "
        "describes, while everything else learns. NET is any prototxt; its comments are not kept.",
        epilog="example: caffe-acu positions freeze train_val.prototxt -o frozen.prototxt",
    )
    freeze.add_argument("net", type=Path, metavar="NET", help="a prototxt")
    _add_out(freeze, "OUT", "the prototxt to write")
    add_layers(freeze)
    freeze.set_defaults(run=_run_freeze)


def _add_out(parser: argparse.ArgumentParser, metavar: str, text: str) -> None:
    parser.add_argument("-o", "--out", type=Path, required=True, metavar=metavar, help=text)


def _run_export(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.surgery.export import export_prototxt, export_shapes

    source, out, patterns, net = arguments.source, arguments.out, arguments.layers, arguments.net
    if net:
        words = ["export", publishable(source), "--net", publishable(net)]
        names = export_prototxt(
            source, net, out, _made_by(words, patterns), patterns, arguments.iteration, arguments.out_weights
        )
    elif arguments.out_weights:
        raise UserError("--out-weights are for the network of --net, which is missing")
    else:
        names = export_shapes(source, out, publishable(source), patterns, arguments.iteration)
    print(f"{out}: the shapes of {len(names)} layer(s): {', '.join(names)}")


def _run_apply(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.surgery.files import apply_file

    if (arguments.weights is None) == (arguments.net is None):
        raise UserError("give WEIGHTS, or --net NET for random ones: one of both")
    if arguments.seed is not None and not arguments.net:
        raise UserError("--seed is of the random weights of --net, which is missing")
    names = apply_file(
        arguments.shapes,
        arguments.weights or arguments.net,
        arguments.out,
        arguments.layers,
        iteration=arguments.iteration,
        seed=(1 if arguments.seed is None else arguments.seed) if arguments.net else None,
        names=dict(map(_pair, arguments.map)),
        partial=arguments.partial,
    )
    print(f"{arguments.out}: the positions of {len(names)} layer(s): {', '.join(names)}")


def _pair(text: str) -> tuple[str, str]:
    from caffe_acu.errors import UserError

    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise UserError(f"--map {text}: it takes OLD=NEW, two names of layers")
    return old, new


def _run_round(arguments: argparse.Namespace) -> None:
    from caffe_acu.surgery.files import round_file

    layers = round_file(arguments.weights, arguments.out, arguments.layers, arguments.step)
    width = max(len(layer.layer) for layer in layers)
    for layer in layers:
        print(
            f"{layer.layer:{width}}  moved {layer.distance.mean():.3f} px on average, {layer.distance.max():.3f} at "
            f"most{_coinciding(layer.coinciding)}"
        )
    print(f"{arguments.out}: {len(layers)} layer(s) rounded")


def _coinciding(found: list[tuple[int, int, int]]) -> str:
    if not found:
        return ""
    listed = [f"{first} and {k} of set {s}" for s, k, first in found[:_SHOWN]]
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"; at one place: synapses {', '.join(listed)}{more}"


def _run_freeze(arguments: argparse.Namespace) -> None:
    from caffe_acu.surgery.files import freeze_file

    comment = _made_by(["freeze", publishable(arguments.net)], arguments.layers)
    names = freeze_file(arguments.net, arguments.out, comment, arguments.layers)
    print(f"{arguments.out}: the positions of {len(names)} layer(s) stay: {', '.join(names)}")


def _made_by(words: list[str], patterns: list[str]) -> str:
    import shlex

    return (
        f"Made by `{shlex.join(['caffe-acu', 'positions', *words, *(['--layers', *patterns] if patterns else [])])}`."
    )
