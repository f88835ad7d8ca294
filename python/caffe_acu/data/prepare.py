"""CIFAR-10, CIFAR-100, or images in a folder per class, from source to LMDB."""

from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.data.images import ImageSet
from caffe_acu.data.layout import Split, require_space_for, write_data_set
from caffe_acu.data.lmdb_writer import Shape
from caffe_acu.data.options import DEFAULT_PREPROCESSING, CifarOptions
from caffe_acu.data.output_folder import new_folder
from caffe_acu.data.padding import pad_images, padded_shape
from caffe_acu.data.preprocess import Preprocessing
from caffe_acu.data.progress import slices
from caffe_acu.data.readers import read_source
from caffe_acu.errors import UserError


def prepare(source: Path, out: Path, options: CifarOptions = CifarOptions()) -> dict[str, Any]:
    """Reads ``source``, preprocesses and writes the data set ``out``; returns its manifest.

    ``out`` holds ``train_lmdb`` (padded, in a random order of ``options.write.seed``), ``test_lmdb`` (neither),
    ``preprocess.npz`` (see :class:`.preprocess.Preprocessing`) and ``manifest.json``. It appears whole at the
    end or not at all. Raises UserError for bad input, an existing ``out`` or a disk too small.
    """
    write = options.write
    with new_folder(out, write.overwrite) as folder:
        sources = read_source(source, options.tolerance, options.data_set, options.labels)
        train, test = sources.train, sources.test
        if options.limit_train is not None:
            train = train.first_per_class(options.limit_train)
        if options.limit_test is not None:
            test = test.first_per_class(options.limit_test)
        train, test = train.with_planes(options.channel_order), test.with_planes(options.channel_order)

        shape: Shape = train.images.shape[1:]
        values = train.images[0].size
        lmdbs = [(len(train), padded_shape(shape, write.pad)), (len(test), shape)]
        require_space_for(folder, lmdbs, others=8 * values * (values + 2))  # a ZCA is D x D float64

        preprocessing = _preprocessing(train.images, options)
        preprocessing.save(folder / "preprocess.npz")
        order = np.random.default_rng(write.seed).permutation(len(train))
        splits = (
            _split("train", train, order, preprocessing, write.pad, write.pad_mode),
            _split("test", test, np.arange(len(test)), preprocessing, 0, write.pad_mode),
        )
        details = {
            "source": train.source,
            "options": asdict(replace(options, preprocess=preprocessing.kind)),
            "short": sources.short,
            "skipped": sources.skipped,
            "ignored": sources.ignored,
        }
        return write_data_set(folder, splits, train.classes, details)


def _preprocessing(images: np.ndarray, options: CifarOptions) -> Preprocessing:
    if options.fitted is None:
        return Preprocessing.fit(images, options.preprocess or DEFAULT_PREPROCESSING, options.channel_order)
    preprocessing = Preprocessing.load(Path(options.fitted))
    if options.preprocess not in (None, preprocessing.kind):
        raise UserError(
            f"{options.fitted}: was fitted for --preprocess {preprocessing.kind}, not {options.preprocess}: leave "
            "--preprocess out, or give another --fitted"
        )
    if options.channel_order != preprocessing.channel_order:
        raise UserError(
            f"{options.fitted}: was fitted to {preprocessing.channel_order} planes, not {options.channel_order}: give "
            f"--channel-order {preprocessing.channel_order}, or another --fitted"
        )
    if not preprocessing.takes(images.shape[1:]):
        raise UserError(
            f"{options.fitted}: was fitted to images of {'x'.join(map(str, preprocessing.shape))}, these are "
            f"{'x'.join(map(str, images.shape[1:]))}: give another --fitted, or leave it out to fit to these"
        )
    return preprocessing


def _split(
    name: str, images: ImageSet, order: np.ndarray, preprocessing: Preprocessing, pad: int, pad_mode: str
) -> Split:
    def batches() -> Iterator[np.ndarray]:
        for part in slices(len(order)):
            yield pad_images(preprocessing.apply(images.images[order[part]]), pad, pad_mode)

    return Split(name, padded_shape(images.images.shape[1:], pad), images.labels[order], batches)
