"""``caffe-acu convert``: networks from one form to another."""

import importlib

# Each module has register(kinds), which adds its parser and sets `run`.
CONVERSIONS = (
    "convert_conv",
    "convert_onnx",
    "convert_acu",
    "convert_ring_to_raster",
)


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "convert",
        help="bring networks into other forms, to deploy them or to train from",
        description="Makes caffemodels and prototxts of others.",
    )
    kinds = parser.add_subparsers(title="conversions", dest="conversion", metavar="<conversion>", required=True)
    for name in CONVERSIONS:
        importlib.import_module(f"caffe_acu.cli.{name}").register(kinds)
