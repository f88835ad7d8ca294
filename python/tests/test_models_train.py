"""Every network of models/ in the built Caffe, at its full input size: both phases, backward, two solver steps."""

import gc
import os
from pathlib import Path

import caffe
import lmdb
import numpy as np
import pytest

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.net_param import format_prototxt, read_prototxt, set_blob
from caffe_acu.nets.model import Model
from caffe_acu.nets.zoo import all_models

MODELS = Path(__file__).resolve().parents[2] / "models"
BATCH = 2
STORED = {"CIFAR-10": (40, 32), "CIFAR-100": (40, 32), "Places365-Standard": (256, 256), "ImageNet": (256, 256)}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder in which the paths of the prototxts lead to data sets of four random images."""
    folder = tmp_path_factory.mktemp("workplace")
    random = np.random.default_rng(0)
    for data in {model.data.source.train_lmdb: model.data for model in all_models()}.values():
        for path, size in zip((data.source.train_lmdb, data.source.test_lmdb), STORED[data.name], strict=True):
            write_lmdb(folder / path, random, size, data.classes)
        if data.source.mean_file:
            mean = caffe_pb2.BlobProto()
            set_blob(mean, np.full((1, 3, *[STORED[data.name][0]] * 2), 120, np.float32))
            (folder / data.source.mean_file).write_bytes(mean.SerializeToString())
    before = os.getcwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


def write_lmdb(path: Path, random: np.random.Generator, size: int, classes: int) -> None:
    path.mkdir(parents=True)
    with lmdb.open(str(path), map_size=1 << 24) as environment, environment.begin(write=True) as transaction:
        for i in range(2 * BATCH):
            datum = caffe_pb2.Datum(channels=3, height=size, width=size, label=int(random.integers(classes)))
            datum.data = random.integers(0, 256, (3, size, size), np.uint8).tobytes()
            transaction.put(f"{i:08}".encode(), datum.SerializeToString())


def get_solver(model: Model, folder: Path) -> caffe.SGDSolver:
    """The solver that is committed, for two iterations of two images."""
    net = read_prototxt(MODELS / model.folder / "train_val.prototxt")
    for layer in net.layer:
        if layer.type == "Data":
            layer.data_param.batch_size = BATCH
    net_path, solver_path = folder / f"{model.name}.prototxt", folder / f"{model.name}_solver.prototxt"
    net_path.write_text(format_prototxt(net))
    solver = model.schedule.message(str(net_path), str(folder / "snapshot"))
    solver.test_iter[:], solver.snapshot, solver.snapshot_after_train = [1], 0, False
    solver_path.write_text(format_prototxt(solver))
    return caffe.get_solver(str(solver_path))


def learned_blobs(net: caffe.Net) -> dict[tuple[str, int], np.ndarray]:
    """Copies of all that training may change: not BatchNorm's statistics, nor the zero that stands for a bias."""
    found = {}
    for name, layer in zip(net._layer_names, net.layers, strict=True):
        if layer.type == "BatchNorm":
            continue
        for i, blob in enumerate(layer.blobs):
            if not (layer.type in ACTIVE_TYPES and i == 1 and blob.count == 1):
                found[name, i] = blob.data.copy()
    return found


@pytest.mark.parametrize("model", all_models(), ids=lambda model: model.folder)
def test_two_steps(model, workplace):
    solver = get_solver(model, workplace)
    before = learned_blobs(solver.net)
    types = dict(zip(solver.net._layer_names, [layer.type for layer in solver.net.layers], strict=True))
    active = {name for name, type_ in types.items() if type_ in ACTIVE_TYPES}
    assert sum(blob.size for blob in before.values()) - fixed_coordinates(before, active) == model.count.parameters

    solver.step(2)
    test_net = solver.test_nets[0]
    test_net.share_with(solver.net)
    test_net.forward()
    assert np.isfinite(solver.net.blobs["loss"].data) and np.isfinite(test_net.blobs["loss"].data)
    frozen = {name for name in active if stays(model, name)}
    for (name, i), blob in learned_blobs(solver.net).items():
        assert np.isfinite(blob).all(), (name, i)
        is_position = name in active and i >= 2
        if is_position and blob.size == 1:
            continue  # one synapse, at the origin
        moved = not np.array_equal(blob, before[name, i])
        assert moved == (not is_position or name not in frozen), (name, i)
    # What was trained is what is deployed.
    deployed = caffe.Net(str(MODELS / model.folder / "deploy.prototxt"), caffe.TEST)
    shapes = {name: [tuple(blob.shape) for blob in blobs] for name, blobs in deployed.params.items()}
    assert shapes == {name: [tuple(blob.shape) for blob in blobs] for name, blobs in solver.net.params.items()}
    deployed.share_with(solver.net)
    deployed.blobs["data"].reshape(BATCH, *deployed.blobs["data"].shape[1:])
    deployed.blobs["data"].data[...] = test_net.blobs["data"].data
    (output,) = deployed.forward().values()
    assert output.shape[:2] == (BATCH, model.data.classes)
    score = test_net.blobs[test_net.bottom_names["loss"][0]].data
    assert output.reshape(BATCH, -1) == pytest.approx(softmax(score.reshape(BATCH, -1)), abs=1e-5)
    del solver, deployed, test_net
    gc.collect()


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fixed_coordinates(blobs: dict[tuple[str, int], np.ndarray], active: set[str]) -> int:
    """Every position set has one synapse at its origin, whose two coordinates are not learned."""
    return sum(2 * len(blobs[name, 2]) for name in active)


def stays(model: Model, layer_name: str) -> bool:
    """Whether the positions of a layer stand still in the first two iterations."""
    (layer,) = (layer for layer in model.train_val().layer if layer.name == layer_name)
    return layer.acu_param.warmup_iter > 0 or not layer.acu_param.learn_positions
