"""A converted network as files, all of them or none."""

import hashlib
import json
from operator import methodcaller
from pathlib import Path

from caffe_acu.convert.deployment import Deployment, deploy
from caffe_acu.convert.deployment_report import as_data
from caffe_acu.convert.options import ConvolutionOptions
from caffe_acu.errors import UserError
from caffe_acu.net_param import format_prototxt, read_bytes, refuse_overwriting, write_together
from caffe_acu.trained_net import weights_message

PROTOTXT, CAFFEMODEL, REPORT = "deploy.prototxt", "weights.caffemodel", "report.json"


def deploy_files(
    net: Path, weights: Path, folder: Path, options: ConvolutionOptions, command: str
) -> tuple[Deployment, list[Path]]:
    """Reads a deploy prototxt and its caffemodel, writes prototxt, caffemodel and report; also returns their paths.

    ``command`` stands in the prototxt's head and in the report. UserError as of
    :func:`caffe_acu.convert.deployment.deploy`, and for a folder that is a file or has what is read; then nothing is
    written.
    """
    files = [folder / name for name in (PROTOTXT, CAFFEMODEL, REPORT)]
    check_folder(folder, files, (net, weights))
    digests = {path: hashlib.sha256(read_bytes(path)).hexdigest() for path in (net, weights)}
    deployment = deploy(net, weights, options)
    converted = deployment.converted
    report = as_data(deployment, options, command, digests)
    contents: list[str | bytes] = [
        format_prototxt(converted.net, _head(converted.kept, command)),
        weights_message(converted.net, converted.blobs).SerializeToString(),
        json.dumps(report, indent=2, allow_nan=False, default=methodcaller("item")) + "\n",
    ]
    write_together(dict(zip(files, contents, strict=True)))
    return deployment, files


def check_folder(folder: Path, files: list[Path], read: tuple[Path, ...]) -> None:
    """UserError if the folder cannot be made, or has one of the files that are read."""
    for ancestor in (folder, *folder.parents):
        if ancestor.exists() and not ancestor.is_dir():
            raise UserError(f"{ancestor}: a file; -o takes a folder, which is made if it is not there")
    refuse_overwriting(read, files)


def _head(kept: tuple[str, ...], command: str) -> str:
    if kept:
        use = f"Runs in the Caffe of caffe-acu only, for some layers have stayed active: {', '.join(kept)}."
    else:
        use = "Layers and fields of BVLC Caffe only."
    return f"Made by `{command}`.\n{use}"
