"""What the fuzzer calls: readers of files that people download, each with bytes in place of such a file.

A target gets the bytes and an empty folder to put them into. The exceptions that it lists are how a reader may end;
whatever else it raises, how long it takes and how much memory it asks for is looked at by who calls: fuzz_run.py, and
test_hostile_input.py, which gives it the inputs that once were too much.
"""

import os
import pickle
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from caffe_acu.data.batch_pickle import unpickle
from caffe_acu.data.cifar_batches import Batches
from caffe_acu.data.cifar_formats import CIFAR10, CIFAR100
from caffe_acu.data.download import download
from caffe_acu.data.layout import MANIFEST, read_manifest
from caffe_acu.data.options import Tolerance
from caffe_acu.data.output_folder import _require_replaceable
from caffe_acu.data.pictures.file_list import Place
from caffe_acu.data.pictures.imagenet_labels import read_val_labels, read_words
from caffe_acu.data.pictures.options import RecordOptions
from caffe_acu.data.pictures.picture import DamagedPicture, decode, fit
from caffe_acu.data.pictures.record_maker import File, Maker
from caffe_acu.data.pictures.search import search
from caffe_acu.data.readers import read_source
from caffe_acu.errors import UserError
from caffe_acu.net_param import blob_array, read_net, read_solver
from caffe_acu.position_log import load_npz, read_position_log
from caffe_acu.reproduce.accuracy_lines import read_results
from caffe_acu.reproduce.records import read_run
from caffe_acu.surgery.shapes_file import FORMS, read_shapes
from caffe_acu.trained_net import read_deploy, read_trained
from caffe_acu.training_log import read_training_log
from fuzz_archives import archive_of

Target = Callable[[bytes, Path], None]

_SYNSETS = ("n01440764", "n01443537")
_LABEL_FILES = ("val.txt", "LOC_val_solution.csv", "ILSVRC2012_devkit_t12.tar.gz", "synset_words.txt")
_SMALL = RecordOptions(size=16, orientation="apply")
_TOLERANT = Tolerance(allow_short=True, skip_damaged=True)
TRAINED = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 6 } } }
layer { name: "acu" type: "ACU" bottom: "data" top: "acu" convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
layer { name: "conv" type: "Convolution" bottom: "acu" top: "conv" convolution_param { num_output: 3 kernel_size: 2 } }
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "bn" batch_norm_param { use_global_stats: true } }
"""


def cifar_pickle(data: bytes, folder: Path) -> None:
    with suppress(pickle.UnpicklingError):
        unpickle(data)
    for format_ in (CIFAR10, CIFAR100):
        batches = Batches(format_, "x", "", frozenset())
        with suppress(UserError):
            batches._parse("x", data)
        for labelling in format_.labellings.values():
            with suppress(UserError):
                batches._class_names("x", data, labelling)


def cifar_archive(data: bytes, folder: Path) -> None:
    (folder / "source.tar").write_bytes(archive_of(data))
    for data_set in ("cifar10", "cifar100"):
        with suppress(UserError):
            read_source(folder / "source.tar", _TOLERANT, data_set)


def picture_archive(data: bytes, folder: Path) -> None:
    """Plain tars, in tars, and the pictures in them as records."""
    (folder / "source.tar").write_bytes(archive_of(data))
    with suppress(UserError):
        files = search([folder / "source.tar"]).pictures
        maker = Maker(tuple(files.containers), _SMALL, keep_damaged=True, with_sums=True)
        places = zip(files.container, files.offset, files.size, strict=True)
        maker.make([File(i, files.names[i], Place(*place), 0) for i, place in enumerate(places)])
        for archive in maker._archives.values():
            os.close(archive)


def picture(data: bytes, folder: Path) -> None:
    for keep in (False, True):
        with suppress(DamagedPicture):
            fit(decode(data, _SMALL, keep).pixels, _SMALL)


def labels(data: bytes, folder: Path) -> None:
    """The first byte chooses what the file is called."""
    path = folder / _LABEL_FILES[data[0] % len(_LABEL_FILES) if data else 0]
    path.write_bytes(archive_of(data[1:]) if path.suffix == ".gz" else data[1:])
    with suppress(UserError):
        read_val_labels(path, _SYNSETS)
    with suppress(UserError):
        read_words([path])


def caffemodel(data: bytes, folder: Path) -> None:
    """Weights, or a prototxt of any kind, as Python reads them."""
    path = folder / "x_iter_1.caffemodel"
    path.write_bytes(data)
    with suppress(UserError):
        for layer in read_net(path).layer:
            for blob in layer.blobs:
                with suppress(UserError):
                    blob_array(blob)
    with suppress(UserError):
        read_solver(path)
    net = folder / "net.prototxt"
    net.write_text(TRAINED)
    with suppress(UserError):
        read_trained(net, path)


def prototxt(data: bytes, folder: Path) -> None:
    """A network as it is deployed, without Caffe's own part, which caffe_acu/fuzz has."""
    path = folder / "net.prototxt"
    path.write_bytes(data)
    with suppress(UserError):
        read_deploy(path)


def positions(data: bytes, folder: Path) -> None:
    path = folder / "positions"
    path.write_bytes(data)
    with suppress(UserError):
        read_position_log(path)
    with suppress(UserError):
        load_npz(path)


def shapes(data: bytes, folder: Path) -> None:
    """The first byte chooses the form."""
    path = folder / ("shapes" + FORMS[data[0] % len(FORMS) if data else 0])
    path.write_bytes(data[1:])
    with suppress(UserError):
        read_shapes(path)


def records(data: bytes, folder: Path) -> None:
    """What runs and data sets write about themselves, and what tables give."""
    for name in (MANIFEST, "run.json", "env.json", "test.json", "metrics.csv", "train.log"):
        (folder / name).write_bytes(data)
    for read in (read_manifest, _require_ours, _run):
        with suppress(UserError):
            read(folder)
    for read in (read_results, read_training_log):
        with suppress(UserError):
            read(folder / "test.json")


def _require_ours(folder: Path) -> None:
    _require_replaceable(folder, overwrite=True)


def _run(folder: Path) -> None:
    run = read_run(folder)
    for read in (run.metrics, run.environment, lambda: run.test_error(1, 1)):
        with suppress(UserError):
            read()


def answer(data: bytes, folder: Path) -> None:
    """What a server sends to a download that begins or, with a first byte that is odd, goes on."""
    archive = CIFAR10.archives["binary"]
    if data and data[0] % 2:
        (folder / f"{archive.name}.part").write_bytes(b"begun")
    with suppress(UserError):
        download(CIFAR10, "binary", folder, _Server.saying(data[1:]))


class _Server:
    """Says the same bytes to whoever connects."""

    _words = b""
    _url = ""

    @classmethod
    def saying(cls, words: bytes) -> str:
        cls._words = words
        if not cls._url:

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    with suppress(OSError):
                        self.wfile.write(cls._words)

                def log_message(self, *_: object) -> None:
                    pass

            server = HTTPServer(("127.0.0.1", 0), Handler)
            threading.Thread(target=server.serve_forever, daemon=True).start()
            cls._url = f"http://127.0.0.1:{server.server_port}/x"
        return cls._url


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        cifar_pickle, cifar_archive, picture_archive, picture, labels, caffemodel, prototxt, positions, shapes,
        records, answer,
    )
}  # fmt: skip
