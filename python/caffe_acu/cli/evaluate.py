"""``caffe-acu evaluate``: error of a trained network on an LMDB."""

import argparse
from pathlib import Path

from caffe_acu.evaluation.options import CROPS, EvaluateOptions


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "evaluate",
        help="measure the error of a trained network",
        description="Runs a network over an LMDB of labelled images and prints its top-k errors. NET is a prototxt "
        "with a Data layer in its test phase, which then says what is read and how, or a deploy prototxt with an Input "
        "layer: the crop is the Input's size, and the options say the rest. One crop is the centre; ten are the four "
        "corners and the centre, and their mirror images, with the softmax's probabilities averaged.",
        epilog="example: caffe-acu evaluate deploy.prototxt net_iter_400000.caffemodel --data data/places365 "
        "--crops 10 --mean 104,117,123",
    )
    default = EvaluateOptions()
    parser.add_argument("net", type=Path, metavar="NET", help="a prototxt")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="a caffemodel")
    parser.add_argument("--data", type=Path, metavar="DIR", help="an LMDB, or a data set of `caffe-acu data`")
    parser.add_argument("--split", help="of the data set (default: the one that is not train)")
    parser.add_argument("--crops", type=int, choices=CROPS, default=default.crops, help=f"({default.crops})")
    parser.add_argument(
        "--top", type=int, nargs="+", metavar="K", help="errors to print (1, and 5 where there are 100 classes or more)"
    )
    parser.add_argument(
        "--mean", metavar="B,G,R|FILE", help="what is subtracted: numbers for all channels or each, or a .binaryproto"
    )
    parser.add_argument("--scale", type=float, metavar="S", help="what the rest is multiplied with")
    parser.add_argument("--scores", metavar="BLOB", help="the scores, where a network has several outputs")
    parser.add_argument("--batch", type=int, metavar="N", help="crops in a pass (that of the Data layer, else 50)")
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this GPU (default: the CPU)")
    parser.add_argument("--limit", type=int, metavar="N", help="take the first N records only")
    parser.add_argument("--per-class", action="store_true", help="print the errors of every class too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything, with commit and hardware, as JSON")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    import json

    from caffe_acu.evaluation.run import evaluate
    from caffe_acu.net_param import write_atomically

    names = ("data", "split", "crops", "batch", "gpu", "limit", "mean", "scale", "scores")
    options = EvaluateOptions(
        **{name: getattr(arguments, name) for name in names},
        top=tuple(dict.fromkeys(arguments.top)) if arguments.top else None,
    )
    evaluation = evaluate(arguments.net, arguments.weights, options)
    print("\n".join(evaluation.summary(arguments.per_class)))
    if arguments.json:
        write_atomically(arguments.json, json.dumps(evaluation.as_data(), indent=2) + "\n")
