"""Converted networks where this project is not: in OpenCV's DNN module, and in the convolution that is upstream's."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.net_param import read_prototxt
from caffe_acu.trained_net import TrainedNet, caffe_net, read_trained
from trained_nets import BATCH, FAMILIES, trained

MODELS = Path(__file__).resolve().parents[2] / "models"
CLOSE = 1e-4  # of the largest score


def deployed(files: tuple[Path, Path], out: Path, *options: str) -> tuple[Path, Path]:
    assert main(["convert", "conv", *map(str, files), "-o", str(out), *options]) == 0
    return out / "deploy.prototxt", out / "weights.caffemodel"


def scores_of(net: TrainedNet, images: np.ndarray, blobs: list[str]) -> list[np.ndarray]:
    loaded = caffe_net(net.net, net.blobs)
    loaded.blobs["data"].data[...] = images
    loaded.forward()
    return [loaded.blobs[blob].data.reshape(len(images), -1).copy() for blob in blobs]


def scores_in_opencv(files: tuple[Path, Path], images: np.ndarray, blobs: list[str]) -> list[np.ndarray]:
    net = cv2.dnn.readNetFromCaffe(*map(str, files))
    net.setInput(images)
    # It calls a blob as the layer that makes it, as our networks do.
    return [scores.reshape(len(images), -1) for scores in net.forward(blobs)]


def scores_by_upstreams_engine(files: tuple[Path, Path], images: np.ndarray, blobs: list[str]) -> list[np.ndarray]:
    net = read_trained(*files)
    for layer in net.net.layer:
        if layer.type == "Convolution":
            layer.convolution_param.engine = caffe_pb2.ConvolutionParameter.CAFFE
    return scores_of(net, images, blobs)


NOT_FOLDED = ("cvpr2017/plain_acu", "grouped/resnet29_x1d_acu_share")


@pytest.mark.parametrize(
    ("folder", "options"), [*((folder, ["--fold"]) for folder in FAMILIES), *((folder, []) for folder in NOT_FOLDED)]
)
def test_a_network_of_every_family(folder, options, tmp_path):
    files = trained(folder, tmp_path)
    images = np.random.default_rng(4).normal(size=(BATCH, 3, *FAMILIES[folder])).astype(np.float32)
    check(files, deployed(files, tmp_path / "out", *options), images)


def test_the_authors_network(shared, tmp_path):
    weights = shared / "golden" / "plain_iter_10000.caffemodel"
    files = (MODELS / "cvpr2017" / "plain_authors" / "deploy.prototxt", weights)
    images = np.random.default_rng(4).normal(0, 50, size=(1, 3, 32, 32)).astype(np.float32)
    check(files, deployed(files, tmp_path), images)


def check(files: tuple[Path, Path], converted: tuple[Path, Path], images: np.ndarray) -> None:
    (softmax,) = (layer for layer in read_prototxt(files[0]).layer if layer.type == "Softmax")
    blobs = [softmax.bottom[0], softmax.top[0]]
    wanted = scores_of(read_trained(*files), images, blobs)
    for consumer in (scores_in_opencv, scores_by_upstreams_engine):
        for scores, expected in zip(consumer(converted, images, blobs), wanted, strict=True):
            largest = np.abs(expected).max()
            assert np.ptp(expected, axis=1).min() > 100 * CLOSE * largest  # nothing that a mistake would not change
            np.testing.assert_allclose(scores, expected, rtol=0, atol=CLOSE * largest, err_msg=consumer.__name__)
