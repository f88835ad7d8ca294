"""``caffe-acu scaling``: what data-parallel training of a network sends, and how it scales, on paper."""

import argparse
from collections.abc import Callable
from pathlib import Path

from caffe_acu.cli.choices import add_stage, explained

# Latencies as they are usual: TCP through the kernel, and two kinds of remote memory access.
_LINKS = ((10.0, 30.0), (100.0, 5.0), (400.0, 3.0))
_NODES = (1, 2, 4, 8, 16, 32, 64)


def register(subparsers) -> None:
    from caffe_acu.scaling.allreduce import MEANINGS

    parser = subparsers.add_parser(
        "scaling",
        help="what training on several machines sends, and how it scales, on paper",
        description="Counts the gradient that workers of data-parallel training send each other in an iteration, and "
        "reckons from it, for links of several kinds and up to so many nodes, the time of the all-reduce and the "
        "efficiency: with messages sent after the backward pass, and while it goes on. A model on paper, which prints "
        "what it assumes; nothing is measured.",
        epilog="example: caffe-acu scaling models/grouped/xception_acu/train_val.prototxt --batch 64 --seconds 0.25",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="the prototxt of the network that is trained")
    worker = parser.add_argument_group("one worker, alone")
    worker.add_argument("--batch", type=_whole, metavar="N", help="images of an iteration (as NET has it)")
    worker.add_argument("--seconds", type=_positive, metavar="S", help="of its iteration, measured; else reckoned")
    worker.add_argument("--teraflops", type=_positive, default=67.0, metavar="T", help="peak rate (67: an H100, FP32)")
    worker.add_argument("--utilisation", type=_share, default=0.3, metavar="U", help="what is had of it (0.3)")
    cluster = parser.add_argument_group("machines")
    cluster.add_argument("--nodes", type=_whole, nargs="+", default=_NODES, metavar="N", help="(1 2 4 8 16 32 64)")
    cluster.add_argument(
        "--link",
        type=_link,
        nargs="+",
        default=_LINKS,
        metavar="GBPS:US",
        help="rate in Gb/s each way, and latency in microseconds (10:30 100:5 400:3)",
    )
    cluster.add_argument(
        "--link-share", type=_share, default=0.8, metavar="U", help="of a link's rate, what messages get (0.8)"
    )
    cluster.add_argument("--workers-per-node", type=_whole, default=1, metavar="N", help="such as GPUs (1)")
    cluster.add_argument(
        "--inside", type=_link, metavar="GBPS:US", help="link between the workers of a node, 3600:2 for NVLink"
    )
    sending = parser.add_argument_group("how gradients are sent")
    sending.add_argument(
        "--algorithm", choices=MEANINGS, default="ring", metavar="NAME", help=explained(MEANINGS, "ring")
    )
    sending.add_argument(
        "--bucket", type=_positive, default=4.0, metavar="MIB", help="least message while backward goes on (4)"
    )
    sending.add_argument(
        "--all-blobs",
        action="store_true",
        help="send blobs that do not learn as well, such as the statistics of BatchNorm",
    )
    sending.add_argument(
        "--strong", action="store_true", help="divide the batch among the workers (default: each has all of it)"
    )
    parser.add_argument(
        "--input", type=int, nargs=3, metavar=("C", "H", "W"), help="size of the images, where NET does not tell it"
    )
    parser.add_argument(
        "--same-shape", action="append", default=[], metavar="TYPE", help="as for `caffe-acu counts`; may be repeated"
    )
    add_stage(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.set_defaults(run=_run)


def _number(text: str, kind: Callable[[str], float], allowed: Callable[[float], bool], wanted: str) -> float:
    try:
        value = kind(text)
    except ValueError:
        value = float("nan")
    if not (allowed(value) and value < float("inf")):
        raise argparse.ArgumentTypeError(f"{text!r}: it takes {wanted}")
    return value


def _whole(text: str) -> int:
    return int(_number(text, int, lambda value: value >= 1, "1 or more"))


def _positive(text: str) -> float:
    return _number(text, float, lambda value: value > 0, "a number above 0")


def _share(text: str) -> float:
    return _number(text, float, lambda value: 0 < value <= 1, "a number above 0, and at most 1")


def _link(text: str) -> tuple[float, float]:
    rate, colon, latency = text.partition(":")
    if not colon:
        raise argparse.ArgumentTypeError(f"{text!r}: it takes GBPS:US, such as 100:5")
    return _positive(rate), _number(latency, float, lambda value: value >= 0, "GBPS:US, such as 100:5")


def _run(arguments: argparse.Namespace) -> None:
    import json

    from caffe_acu.errors import naming
    from caffe_acu.net_param import read_prototxt
    from caffe_acu.scaling import model, report
    from caffe_acu.scaling.allreduce import Cluster, Link
    from caffe_acu.scaling.gradient import gradient_of

    net = read_prototxt(arguments.net)
    net.state.stage.extend(arguments.stage)
    with naming(arguments.net):
        gradient = gradient_of(net, tuple(arguments.input) if arguments.input else None, arguments.same_shape)
        batch = arguments.batch or gradient.batch
        if arguments.seconds:
            worker = model.measured(batch, arguments.seconds)
        else:
            worker = model.assumed(gradient, batch, arguments.teraflops, arguments.utilisation)
    inside = Link(*arguments.inside) if arguments.inside else None
    sending = model.Sending(arguments.bucket * 2**20, arguments.all_blobs, arguments.strong)
    links = [Link(*link, arguments.link_share) for link in arguments.link]
    of_node = arguments.workers_per_node, inside, arguments.algorithm
    rows = [
        [model.estimate(gradient, worker, Cluster(nodes, link, *of_node), sending) for link in links]
        for nodes in arguments.nodes
    ]
    scaling = report.Scaling(gradient, worker, sending, rows)
    if arguments.json:
        print(json.dumps(report.as_data(scaling), indent=2))
    else:
        print(report.as_markdown(scaling) if arguments.markdown else report.as_text(scaling))
