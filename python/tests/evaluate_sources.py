"""Small LMDBs in every form that Caffe reads, and networks for them, made for tests."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import caffe
import cv2
import lmdb
import numpy as np

from caffe_acu.caffe_proto import caffe_pb2

JPEG_SAMPLING = {
    "jpeg 4:2:0": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    "jpeg 4:2:2": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422,
    "jpeg 4:4:4": cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
}
FORMS = (*JPEG_SAMPLING, "grey jpeg", "png", "raw", "float")


def photograph(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3), smooth in parts and noisy, so that a JPEG's colours are really interpolated."""
    coarse = rng.integers(0, 256, (5, 7, 3), np.uint8)
    fine = rng.normal(0, 12, (*size, 3))
    return np.clip(cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_CUBIC) + fine, 0, 255).astype(np.uint8)


def datum(form: str, image: np.ndarray, label: int) -> "caffe_pb2.Datum":
    """Of an image uint8 (H, W, 3)."""
    if form in ("raw", "float"):
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        channels, height, width = planes.shape
        record = caffe_pb2.Datum(channels=channels, height=height, width=width, label=label)
        if form == "raw":
            record.data = planes.tobytes()
        else:
            record.float_data.extend((planes.astype(np.float32) / 7 - 11).ravel().tolist())
        return record
    if form == "grey jpeg":
        image = image[:, :, :1]
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, JPEG_SAMPLING[form]] if form in JPEG_SAMPLING else []
    encoded = cv2.imencode(".png" if form == "png" else ".jpg", image, sampling)[1]
    return caffe_pb2.Datum(data=encoded.tobytes(), encoded=True, label=label)


def write_records(folder: Path, records: Iterable["caffe_pb2.Datum | bytes"]) -> Path:
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for key, record in enumerate(records):
            value = record if isinstance(record, bytes) else record.SerializeToString()
            transaction.put(b"%08d" % key, value)
    return folder


def images(count: int, size: tuple[int, int], seed: int = 5) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [photograph(rng, size) for _ in range(count)]


def write_images(folder: Path, form: str, count: int, size: tuple[int, int], classes: int = 7) -> Path:
    """Records 0 to ``count`` - 1 of ``form``; labels 0, 3, 6, ... modulo ``classes``."""
    pictures = images(count, size)
    return write_records(folder, (datum(form, image, 3 * i % classes) for i, image in enumerate(pictures)))


def data_layer(source: Path, batch: int, transform: str = "", tops: Sequence[str] = ("data", "label")) -> str:
    return (
        f'layer {{ name: "data" type: "Data" {" ".join(f"top: {chr(34)}{top}{chr(34)}" for top in tops)} '
        f"include {{ phase: TEST }} transform_param {{ {transform} }} "
        f'data_param {{ source: "{source}" batch_size: {batch} backend: LMDB }} }}\n'
    )


def input_layer(shape: Sequence[int], name: str = "data") -> str:
    dims = " ".join(f"dim: {size}" for size in shape)
    return f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}\n'


def body(classes: int = 7) -> str:
    """From ``data`` to ``score``, a small network whose scores differ from image to image."""
    return (
        'layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 '
        'kernel_size: 3 stride: 2 weight_filler { type: "msra" } } }\n'
        'layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }\n'
        'layer { name: "score" type: "InnerProduct" bottom: "conv" top: "score" inner_product_param { '
        f'num_output: {classes} weight_filler {{ type: "xavier" }} }} }}\n'
    )


SOFTMAX = 'layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }\n'
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }\n'


def accuracy(k: int, scores: str = "score") -> str:
    return (
        f'layer {{ name: "top{k}" type: "Accuracy" bottom: "{scores}" bottom: "label" top: "top{k}" '
        f"accuracy_param {{ top_k: {k} }} }}\n"
    )


def write_weights(folder: Path, shape: Sequence[int], net: str = "") -> Path:
    """A caffemodel of random weights for ``net`` (default: :func:`body`) on images of ``shape`` (C, H, W)."""
    prototxt, caffemodel = folder / "random.prototxt", folder / "random.caffemodel"
    prototxt.write_text(input_layer((1, *shape)) + (net or body()))
    caffe.set_random_seed(3)
    caffe.Net(str(prototxt), caffe.TEST).save(str(caffemodel))
    return caffemodel
