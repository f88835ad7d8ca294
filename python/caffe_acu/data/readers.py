"""Finds out what a source holds and reads it."""

from pathlib import Path

from caffe_acu.data import cifar_batches, image_tree
from caffe_acu.data.archive import open_archive
from caffe_acu.data.images import Sources
from caffe_acu.data.options import Tolerance
from caffe_acu.errors import UserError


def read_source(path: Path, tolerance: Tolerance = Tolerance()) -> Sources:
    """Reads a folder or tar archive of the official batches, or of images in a folder per class.

    Raises UserError, which names the file, if ``path`` holds none of these or several, or if a file is short
    or damaged and ``tolerance`` does not allow it.
    """
    archive = open_archive(path)
    names = archive.names()
    forms = [*cifar_batches.find(names), *image_tree.find(names)]
    if not forms:
        raise UserError(
            f"{path}: holds neither data_batch_1 to 5 and test_batch of CIFAR-10 (Python or .bin) nor "
            "train/<class>/*.jpg|png and test/<class>/*.jpg|png: check --source"
        )
    if len(forms) > 1:
        listing = "; ".join(form.description for form in forms)
        raise UserError(f"{path}: holds more than one data set ({listing}): give --source the folder of one of them")
    sources = forms[0].read(archive, tolerance)
    for split, images in (("training", sources.train), ("test", sources.test)):
        if len(images) == 0:
            raise UserError(f"{path}: holds no {split} images ({sources.form}): a data set needs both splits")
    return sources
