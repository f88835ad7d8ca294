"""``caffe-acu counts``: parameters and multiply-adds of networks."""

import argparse
from pathlib import Path

from caffe_acu.cli.choices import add_stage, explained
from caffe_acu.counts.conventions import CONVENTIONS, PAPERS


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "counts",
        help="count parameters and multiply-adds",
        description="Counts a network for one image in the test phase: by layer, by type, in total; or several "
        "networks side by side. Parameters: weights, biases, scale and shift of batch normalisation, and the "
        "coordinates of synapses. Multiply-adds: products of convolutions, inner products and recurrent layers, and "
        "those with which an ACU interpolates. Conventions differ in the last of each.",
        epilog="A layer of a type that is not known to the counter, such as Python, is named in the output as missing "
        "from the totals; if a layer that learns or multiplies needs the shape of its tops, nothing is counted.",
    )
    parser.add_argument("nets", type=Path, nargs="+", metavar="NET", help="a prototxt; of several, the totals")
    parser.add_argument(
        "--convention",
        choices=CONVENTIONS,
        default=PAPERS.name,
        metavar="NAME",
        help=explained({convention.name: convention.description for convention in CONVENTIONS.values()}, PAPERS.name),
    )
    parser.add_argument(
        "--input",
        type=int,
        nargs=3,
        metavar=("C", "H", "W"),
        help="size of the images, where a prototxt does not tell it",
    )
    parser.add_argument(
        "--same-shape",
        action="append",
        default=[],
        metavar="TYPE",
        help="assume that layers of this type, not known to the counter, make tops of their first bottom's shape; may "
        "be repeated (in place they are taken to do so anyway)",
    )
    add_stage(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print Markdown tables")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    import json

    from caffe_acu.counts import report
    from caffe_acu.counts.network import count_file

    input_shape = tuple(arguments.input) if arguments.input else None
    options = input_shape, CONVENTIONS[arguments.convention], arguments.same_shape, arguments.stage
    counts = {str(path): count_file(path, *options) for path in arguments.nets}
    if len(counts) == 1:
        (subject,) = counts.values()
        forms = report.as_data, report.as_markdown, report.as_text
    else:
        subject, forms = counts, (report.comparison_data, report.comparison_markdown, report.comparison_text)
    as_data, as_markdown, as_text = forms
    if arguments.json:
        print(json.dumps(as_data(subject), indent=2))
    else:
        print(as_markdown(subject) if arguments.markdown else as_text(subject))
