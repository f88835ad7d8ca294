"""``caffe-acu data``: prepares image sets as LMDBs."""

import argparse
from pathlib import Path

from caffe_acu.cli import data_inspect, data_pictures
from caffe_acu.cli.choices import explained
from caffe_acu.data.cifar_formats import CIFAR100, FORMATS
from caffe_acu.data.options import (
    CHANNEL_ORDERS,
    DEFAULT_PREPROCESSING,
    PAD_MODES,
    PREPROCESSING,
    CifarOptions,
    Constellations,
    GeneratedOptions,
    Tolerance,
    WriteOptions,
)


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "data",
        help="prepare a data set for training",
        description="Writes a data set as two LMDBs, OUT/train_lmdb and OUT/test_lmdb, with a manifest. OUT "
        "appears whole or not at all. Training images are padded, so that `crop_size` in the prototxt (and for "
        "CIFAR-10 `mirror: true`) gives the papers' random crops and flips.",
    )
    data_sets = parser.add_subparsers(title="data sets", dest="data_set", metavar="<data set>", required=True)
    _register_cifar(data_sets)
    data_pictures.register(data_sets)
    _register_generated(data_sets)
    _register_download(data_sets)
    data_inspect.register(data_sets)


def _add_common(parser: argparse.ArgumentParser) -> None:
    default = WriteOptions()
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--overwrite", action="store_true", help="replace OUT if it is there")
    parser.add_argument(
        "--pad", type=int, default=default.pad, metavar="N", help=f"pixels around training images ({default.pad})"
    )
    parser.add_argument(
        "--pad-mode", choices=PAD_MODES, default=default.pad_mode, help=explained(PAD_MODES, default.pad_mode)
    )
    parser.add_argument(
        "--seed", type=int, default=default.seed, help=f"of the order of the training images ({default.seed})"
    )


def _write_options(arguments: argparse.Namespace) -> WriteOptions:
    return WriteOptions(arguments.pad, arguments.pad_mode, arguments.seed, arguments.overwrite)


def _register_cifar(data_sets) -> None:
    cifar10 = data_sets.add_parser(
        "cifar10",
        help="CIFAR-10, or any small images in a folder per class",
        description="Reads CIFAR-10 in any of its forms: the official python or binary batches (folder or "
        "tar.gz), or images as train/<class>/* and test/<class>/* (folder or tar).",
    )
    _add_cifar(cifar10)
    cifar10.add_argument("--skip-damaged", action="store_true", help="leave out images that cannot be decoded")
    cifar10.set_defaults(run=_run_cifar, labels=CifarOptions.labels)

    cifar100 = data_sets.add_parser(
        "cifar100",
        help="CIFAR-100, with its 100 classes or its 20 groups of classes",
        description="Reads CIFAR-100 in its official python or binary form (folder or tar.gz).",
    )
    _add_cifar(cifar100)
    cifar100.add_argument(
        "--labels",
        choices=sorted(CIFAR100.labellings, reverse=True),
        default=CifarOptions.labels,
        help=f"fine: 100 classes; coarse: 20 groups of five classes (default: {CifarOptions.labels})",
    )
    cifar100.set_defaults(run=_run_cifar, skip_damaged=False)


def _add_cifar(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--source", type=Path, required=True, help="archive or folder")
    _add_common(parser)
    parser.add_argument(
        "--preprocess", choices=PREPROCESSING, help=explained(PREPROCESSING, f"{DEFAULT_PREPROCESSING}, or --fitted's")
    )
    parser.add_argument(
        "--fitted",
        metavar="NPZ",
        help="preprocess.npz of another data set, whose parameters to use instead of fitting to these images",
    )
    parser.add_argument(
        "--channel-order",
        choices=CHANNEL_ORDERS,
        default=CifarOptions.channel_order,
        help=explained(CHANNEL_ORDERS, CifarOptions.channel_order),
    )
    for split in ("train", "test"):
        parser.add_argument(
            f"--limit-{split}", type=int, metavar="N", help=f"take the first N {split} images of every class"
        )
    parser.add_argument(
        "--allow-short", action="store_true", help="take batch files with fewer records than the official ones"
    )


def _run_cifar(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.layout import summary
    from caffe_acu.data.prepare import prepare

    options = CifarOptions(
        data_set=arguments.data_set,
        labels=arguments.labels,
        preprocess=arguments.preprocess,
        fitted=arguments.fitted,
        channel_order=arguments.channel_order,
        limit_train=arguments.limit_train,
        limit_test=arguments.limit_test,
        tolerance=Tolerance(arguments.allow_short, arguments.skip_damaged),
        write=_write_options(arguments),
    )
    print("\n".join(summary(prepare(arguments.source, arguments.out, options), arguments.out)))


def _register_generated(data_sets) -> None:
    default = Constellations()
    parser = data_sets.add_parser(
        "generated",
        help="images of our own making, in which the useful receptive field is known",
        description="Noise with rings of dots in it; the class is how the ring is turned, which only a unit of "
        "the ring's radius can see at once. See data/generated/README.md.",
    )
    _add_common(parser)
    parser.add_argument("--train", type=int, default=20_000, metavar="N", help="training images (20000)")
    parser.add_argument("--test", type=int, default=2_000, metavar="N", help="test images (2000)")
    parser.add_argument(
        "--radius", type=float, default=default.radius, help=f"of the ring, in pixels ({default.radius})"
    )
    parser.add_argument("--classes", type=int, default=default.classes, metavar="N", help=f"2 to 8 ({default.classes})")
    parser.add_argument("--size", type=int, default=default.size, help=f"of an image ({default.size})")
    parser.set_defaults(run=_run_generated)


def _run_generated(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.generated import prepare_generated
    from caffe_acu.data.layout import summary

    what = Constellations(classes=arguments.classes, radius=arguments.radius, size=arguments.size)
    options = GeneratedOptions(arguments.train, arguments.test, what, _write_options(arguments))
    manifest = prepare_generated(arguments.out, options)
    print("\n".join(summary(manifest, arguments.out)))


def _register_download(data_sets) -> None:
    parser = data_sets.add_parser(
        "download",
        help="fetch the official archive of CIFAR-10 or CIFAR-100",
        description="Fetches an official archive and checks its MD5. If it is interrupted, the same command goes on "
        "where it was. Proxies are taken from the environment (https_proxy).",
    )
    parser.add_argument("what", choices=FORMATS, help="data set")
    parser.add_argument("--form", choices=("python", "binary"), default="python", help="both hold the same (python)")
    parser.add_argument("--to", type=Path, default=Path("."), metavar="DIR", help="folder to put it into (this one)")
    parser.add_argument("--url", help="address of the archive on another server")
    parser.set_defaults(run=_run_download)


def _run_download(arguments: argparse.Namespace) -> None:
    from caffe_acu.data.download import download

    path = download(FORMATS[arguments.what], arguments.form, arguments.to, arguments.url)
    print(f"{path}: whole, its MD5 is the official one")
    print(f"next: caffe-acu data {arguments.what} --source {path} --out data/{arguments.what}/lmdb")
