"""Finds out what a source holds and reads it."""

from pathlib import Path

from caffe_acu.data import cifar_batches, image_tree
from caffe_acu.data.archive import open_archive
from caffe_acu.data.cifar_formats import CIFAR10, FORMATS, CifarFormat
from caffe_acu.data.images import Sources
from caffe_acu.data.options import Tolerance
from caffe_acu.errors import UserError


def read_source(
    path: Path, tolerance: Tolerance = Tolerance(), data_set: str = "cifar10", labels: str = "fine"
) -> Sources:
    """Reads a folder or tar archive of the official files of ``data_set``, a key of FORMATS, with these ``labels``.

    For CIFAR-10 it may also be images in a folder per class. Raises UserError, which names the file, if
    ``path`` holds none of these or several, or if a file is short or damaged and ``tolerance`` does not allow it.
    """
    archive = open_archive(path)
    names = archive.names()
    wanted = FORMATS[data_set]
    batches = cifar_batches.find(names, wanted)
    trees = image_tree.find(names) if wanted is CIFAR10 else []
    forms = [*batches, *trees]
    if not forms:
        raise UserError(_nothing_found(path, names, wanted))
    if len(forms) > 1:
        listing = "; ".join(form.description for form in forms)
        raise UserError(f"{path}: holds more than one data set ({listing}): give --source the folder of one of them")
    sources = batches[0].read(archive, tolerance, labels) if batches else trees[0].read(archive, tolerance)
    for split, images in (("training", sources.train), ("test", sources.test)):
        if len(images) == 0:
            raise UserError(f"{path}: holds no {split} images ({sources.form}): a data set needs both splits")
    return sources


def _nothing_found(path: Path, names: list[str], wanted: CifarFormat) -> str:
    # What another command reads, so that a mix-up of the two data sets is seen at once.
    others = [(form, form.format) for format_ in FORMATS.values() for form in cifar_batches.find(names, format_)]
    found = [*others, *((tree, CIFAR10) for tree in image_tree.find(names))]
    if found:
        form, format_ = found[0]
        return (
            f"{path}: holds {form.description}, not {wanted.title}: read it with "
            f"`caffe-acu data {format_.command} --source {path}`"
        )
    files = ", ".join(wanted.records)
    if wanted is CIFAR10:
        return (
            f"{path}: holds neither {files} of CIFAR-10 (Python or .bin) nor "
            "train/<class>/*.jpg|png and test/<class>/*.jpg|png: check --source"
        )
    return f"{path}: holds none of {files} of {wanted.title} (Python or .bin): check --source"
