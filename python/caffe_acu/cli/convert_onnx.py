"""``caffe-acu convert onnx``: a trained network for ONNX Runtime, and whatever else reads ONNX."""

import argparse
from pathlib import Path

from caffe_acu.onnx.opsets import FIRST_OPSET, FIRST_OPSET_DEFORM_CONV, OPSET


def register(kinds) -> None:
    parser = kinds.add_parser(
        "onnx",
        help="a trained network as an ONNX model",
        description="Writes a trained network as an ONNX model; active convolutions become plain ones, exactly. Blobs "
        "keep their names. The number of images is left open where the layers allow; their size is that of the "
        "prototxt, because Caffe rounds sizes up by rules that ONNX does not have. What ONNX Runtime computes of "
        "random inputs is compared with Caffe before the file is written; if it differs by more than rounding "
        "explains, or anything else is wrong, none is.",
        epilog="example: caffe-acu convert onnx deploy.prototxt net.caffemodel -o net.onnx",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="the network, a deploy prototxt")
    parser.add_argument("weights", type=Path, metavar="WEIGHTS", help="its caffemodel")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FILE.onnx", help="the model to write")
    parser.add_argument(
        "--opset",
        type=int,
        default=OPSET,
        metavar="N",
        help=f"version of ONNX's operators, {FIRST_OPSET} or later; lower it for older engines ({OPSET})",
    )
    parser.add_argument(
        "--deform-conv",
        action="store_true",
        help="keep active convolutions, as DeformConv with constant offsets, which few engines have (opset "
        f"{FIRST_OPSET_DEFORM_CONV} or later)",
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError

    try:
        from caffe_acu.onnx.export import export_files
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise UserError("the onnx library is not there: pip install 'caffe-acu[onnx]'") from error
    written = export_files(arguments.net, arguments.weights, arguments.out, arguments.opset, arguments.deform_conv)
    print(f"wrote {arguments.out}: opset {arguments.opset}, {written.file_bytes / 1e6:.1f} MB")
    if written.active:
        print(f"{written.active} active convolution(s) as {'DeformConv' if arguments.deform_conv else 'convolutions'}")
    if written.why_fixed:
        print(f"the number of images is fixed, as in the prototxt: {written.why_fixed}")
    if written.differences is None:
        print("not checked: onnxruntime is not installed (pip install 'caffe-acu[onnx]')")
    for one in written.differences or ():
        shape = "x".join(map(str, one.shape))
        print(f"{one.blob} ({shape}): differs from Caffe by {one.largest:.2g} at most; values reach {one.scale:.3g}")
