"""``caffe-acu data imagenet | places365 | images``: photographs as LMDBs of encoded records."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe_acu.cli.choices import explained
from caffe_acu.data.options import CHANNEL_ORDERS
from caffe_acu.data.pictures.options import (
    DAMAGED,
    ENCODINGS,
    FITS,
    ORIENTATIONS,
    PictureOptions,
    RecordOptions,
    RunOptions,
)


def register(data_sets) -> None:
    _register_imagenet(data_sets)
    _register_places(data_sets)
    _register_images(data_sets)


def _register_imagenet(data_sets) -> None:
    parser = data_sets.add_parser(
        "imagenet",
        help="ImageNet (ILSVRC 2012)",
        description="Reads ILSVRC 2012 from folders or plain tars, the official ones or Kaggle's tree; validation "
        "images in a folder per synset, or with the development kit, LOC_val_solution.csv or val.txt beside them. "
        "See data/imagenet/README.md.",
    )
    _add_common(parser, orientation="ignore")
    parser.add_argument("--val-labels", type=Path, metavar="FILE", help="labels of the validation images")
    _add_classes(parser, "n######## <words>")
    _add_allow_short(parser)
    parser.set_defaults(run=_run_imagenet)


def _register_places(data_sets) -> None:
    parser = data_sets.add_parser(
        "places365",
        help="Places365-Standard",
        description="Reads data_large or data_256, and val_large or val_256, folders or tars, with the official "
        "listings places365_train_standard.txt, places365_val.txt and categories_places365.txt. See "
        "data/places365/README.md.",
    )
    _add_common(parser, orientation="ignore")
    _add_allow_short(parser)
    parser.set_defaults(run=_run_places)


def _register_images(data_sets) -> None:
    parser = data_sets.add_parser(
        "images",
        help="your own pictures, in a folder per class",
        description="Reads train/<class>/* and val/<class>/* (or test/<class>/*), or with --test-fraction "
        "<class>/*, folders or plain tars. See data/images/README.md.",
    )
    _add_common(parser, orientation="apply")
    _add_classes(parser, "<folder> <words>")
    parser.add_argument("--test-fraction", type=float, metavar="F", help="part of each class to test on, e.g. 0.1")
    parser.set_defaults(run=_run_images, allow_short=False)


def _add_common(parser: argparse.ArgumentParser, orientation: str) -> None:
    records, pictures, run = RecordOptions(), PictureOptions(), RunOptions()
    parser.add_argument(
        "--source", type=Path, nargs="+", required=True, help="folders, plain tars and listings that together hold it"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--size", type=int, default=records.size, help=f"of the pictures, in pixels ({records.size})")
    for name, choices, default in (
        ("fit", FITS, records.fit),
        ("encoding", ENCODINGS, records.encoding),
        ("channel-order", CHANNEL_ORDERS, records.channel_order),
        ("orientation", ORIENTATIONS, orientation),
        ("damaged", DAMAGED, run.damaged),
    ):
        parser.add_argument(f"--{name}", choices=choices, default=default, help=explained(choices, default))
    parser.add_argument(
        "--quality",
        type=int,
        default=records.quality,
        help=f"of the JPEGs, 1 to 100 ({records.quality}); a JPEG of the right size is kept as it is",
    )
    parser.add_argument(
        "--seed", type=int, default=pictures.seed, help=f"of the order of the training images ({pictures.seed})"
    )
    for split in ("train", "val"):
        parser.add_argument(
            f"--limit-{split}", type=int, metavar="N", help=f"take the first N {split} images of every class"
        )
    parser.add_argument("--workers", type=int, metavar="N", help="processes (as many as there are cores)")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    parser.add_argument("--restart", action="store_true", help="throw away what an interrupted run left")


def _add_classes(parser: argparse.ArgumentParser, line: str) -> None:
    parser.add_argument(
        "--classes",
        type=Path,
        metavar="FILE",
        help=f"lines '{line}' of the classes to take, in the order of their labels (all, by name)",
    )


def _add_allow_short(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--allow-short", action="store_true", help="take a source with less than the official images")


def _run_imagenet(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.pictures.imagenet import plan_imagenet

    def plan():
        return plan_imagenet(arguments.source, arguments.val_labels, arguments.classes, arguments.allow_short)

    _run(arguments, "imagenet", plan, {"val_labels": arguments.val_labels, "classes_from": arguments.classes})


def _run_places(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.pictures.places import plan_places

    def plan():
        return plan_places(arguments.source, arguments.allow_short)

    _run(arguments, "places365", plan, {})


def _run_images(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.pictures.class_folders import plan_class_folders

    def plan():
        return plan_class_folders(arguments.source, arguments.classes, arguments.test_fraction, arguments.seed)

    more = {"classes_from": arguments.classes, "test_fraction": arguments.test_fraction}
    _run(arguments, "images", plan, more)


def _run(arguments: argparse.Namespace, data_set: str, plan: Callable[[], Any], more: dict[str, Any]) -> None:
    from caffe_acu.data.layout import summary
    from caffe_acu.data.pictures.prepare import prepare_pictures
    from caffe_acu.data.workers import keep_memory

    options = PictureOptions(
        RecordOptions(
            arguments.size,
            arguments.fit,
            arguments.encoding,
            arguments.quality,
            arguments.channel_order,
            arguments.orientation,
        ),
        arguments.seed,
        arguments.limit_train,
        arguments.limit_val,
        arguments.allow_short,
    )
    run = RunOptions(arguments.damaged, arguments.workers, arguments.overwrite, arguments.restart)
    source: dict[str, Any] = {"sources": [str(path.absolute()) for path in arguments.source]}
    source |= {name: str(value) if isinstance(value, Path) else value for name, value in more.items()}
    keep_memory()
    manifest = prepare_pictures(arguments.out, data_set, source, plan, options, run)
    print("\n".join(summary(manifest, arguments.out)))
