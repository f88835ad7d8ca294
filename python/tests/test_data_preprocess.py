"""Kinds of preprocessing against float64 NumPy, their inverses, parameters fitted elsewhere, order of planes."""

import json
from pathlib import Path

import numpy as np
import pytest

import cifar_sources
from caffe_acu.cli.main import main
from caffe_acu.data.options import PREPROCESSING
from caffe_acu.data.preprocess import Preprocessing
from caffe_acu.errors import UserError
from lmdb_records import read_lmdb


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """uint8 (count, 3, 6, 5), planes of different mean and spread."""
    rng = np.random.default_rng(seed)
    low, high = np.array([0, 60, 200]).reshape(1, 3, 1, 1), np.array([256, 90, 255]).reshape(1, 3, 1, 1)
    return rng.integers(low, high, (count, 3, 6, 5)).astype(np.uint8)


def by_plane(values) -> np.ndarray:
    return np.reshape(values, (1, 3, 1, 1))


def contrast_normalised(images: np.ndarray) -> np.ndarray:
    x = images.astype(np.float64)
    x -= x.mean((1, 2, 3), keepdims=True)
    return x * 55 / np.sqrt((x**2).sum((1, 2, 3), keepdims=True))


@pytest.mark.parametrize("kind", ["mean-std", "mean"])
def test_planes_against_numpy(tmp_path, kind):
    train, test = pictures(2_300), pictures(40, seed=1)  # more than is fitted at a time
    fitted = Preprocessing.fit(train, kind)
    x = train.astype(np.float64)
    mean, deviation = x.mean((0, 2, 3)), x.std((0, 2, 3)) if kind == "mean-std" else np.ones(3)
    expected = (test - by_plane(mean)) / by_plane(deviation)
    assert np.allclose(fitted.apply(test), expected, atol=1e-4)
    assert fitted.apply(test).dtype == np.float32

    fitted.save(tmp_path / "p.npz")
    assert np.array_equal(Preprocessing.load(tmp_path / "p.npz").apply(test), fitted.apply(test))
    with np.load(tmp_path / "p.npz") as saved:
        assert saved["mean"].dtype == saved["deviation"].dtype == np.float64
        assert np.allclose(saved["mean"], mean, rtol=1e-13)
        assert np.allclose(saved["deviation"], deviation, rtol=1e-12)


def test_a_constant_plane_becomes_zeros():
    images = pictures(50)
    images[:, 1] = 77
    fitted = Preprocessing.fit(images, "mean-std")
    assert np.array_equal(fitted.apply(images)[:, 1], np.zeros((50, 6, 5)))
    # One that it was not fitted to keeps its distance in grey levels.
    images[0, 1] = 80
    assert np.array_equal(fitted.apply(images)[0, 1], np.full((6, 5), 3.0))


@pytest.mark.parametrize("kind", PREPROCESSING)
def test_pictures_come_back_from_what_was_made_of_them(tmp_path, kind):
    train, test = pictures(300), pictures(20, seed=1)
    Preprocessing.fit(train, kind).save(tmp_path / "p.npz")
    fitted = Preprocessing.load(tmp_path / "p.npz")
    expected = contrast_normalised(test) if kind.startswith("gcn") else test.astype(np.float64)
    back = fitted.invert(fitted.apply(test))
    assert back.dtype == np.float64 and back.shape == test.shape
    assert np.allclose(back, expected, atol=2e-4)
    if kind != "none":
        assert not np.allclose(fitted.apply(test), test, atol=1)


def saved(path: Path, **changes) -> Path:
    Preprocessing.fit(pictures(50), "mean-std").save(path)
    with np.load(path) as file:
        arrays = {**file, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "whiten"},
        {"kind": "gcn-zca"},  # its matrix is not there
        {"channel_order": "grb"},
        {"gcn_norm": 1.0},
        {"shape": (3, 6)},
        {"mean": np.zeros(4)},
        {"mean": np.array([0, np.nan, 0])},
        {"deviation": np.array([1.0, 0.0, 1.0])},
        {"deviation": None},
    ],
)
def test_wrong_parameters_are_refused(tmp_path, changes):
    with pytest.raises(UserError, match=r"p\.npz: no preprocess\.npz of caffe-acu"):
        Preprocessing.load(saved(tmp_path / "p.npz", **changes))


def test_what_is_no_file_of_parameters_is_refused(tmp_path):
    whole = saved(tmp_path / "whole.npz").read_bytes()
    np.save(tmp_path / "array.npy", np.zeros(3))
    for name, contents in (
        ("cut.npz", whole[: len(whole) // 2]),
        ("empty.npz", b""),
        ("text.npz", b"mean 1 2 3"),
        ("array.npz", (tmp_path / "array.npy").read_bytes()),
    ):
        (tmp_path / name).write_bytes(contents)
        with pytest.raises(UserError, match=rf"{name}: no preprocess\.npz"):
            Preprocessing.load(tmp_path / name)
    with pytest.raises(UserError, match="none.npz: no preprocess"):
        Preprocessing.load(tmp_path / "none.npz")


def make(out: Path, source: Path, *options: object) -> int:
    arguments = ["data", "cifar10", "--source", source, "--out", out, "--allow-short", "--pad", 0, *options]
    return main([str(argument) for argument in arguments])


def test_parameters_fitted_elsewhere(tmp_path, capsys):
    cifar_sources.python_batches(tmp_path / "here", 20)
    cifar_sources.image_tree(tmp_path / "elsewhere", 5)  # 8x8: means of planes fit any size
    assert make(tmp_path / "fitted", tmp_path / "elsewhere", "--preprocess", "mean-std") == 0
    npz = tmp_path / "fitted" / "preprocess.npz"
    assert make(tmp_path / "out", tmp_path / "here", "--fitted", npz) == 0

    with np.load(npz) as parameters:
        mean, deviation = by_plane(parameters["mean"]), by_plane(parameters["deviation"])
    pixels = cifar_sources.batch(5, 20)[0].reshape(-1, 3, 32, 32)
    images, _ = read_lmdb(tmp_path / "out" / "test_lmdb")
    assert np.allclose(images, (pixels - mean) / deviation, atol=1e-5)
    options = json.loads((tmp_path / "out" / "manifest.json").read_text())["options"]
    assert (options["preprocess"], options["fitted"]) == ("mean-std", str(npz))

    capsys.readouterr()
    white = tmp_path / "white" / "preprocess.npz"
    assert make(tmp_path / "white", tmp_path / "elsewhere") == 0
    for reason, options in (
        ("was fitted for --preprocess mean-std, not gcn", ["--fitted", npz, "--preprocess", "gcn"]),
        ("was fitted to rgb planes, not bgr: give --channel-order rgb", ["--fitted", npz, "--channel-order", "bgr"]),
        ("was fitted to images of 3x8x8, these are 3x32x32", ["--fitted", white]),
        ("no preprocess.npz of caffe-acu", ["--fitted", tmp_path / "none.npz"]),
    ):
        assert make(tmp_path / "wrong", tmp_path / "here", *options) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1
        assert not (tmp_path / "wrong").exists()


def test_order_of_planes(tmp_path):
    cifar_sources.python_batches(tmp_path / "source", 20)
    rgb = cifar_sources.batch(5, 20)[0].reshape(-1, 3, 32, 32)
    for order, expected in (("rgb", rgb), ("bgr", np.stack([rgb[:, 2], rgb[:, 1], rgb[:, 0]], axis=1))):
        out = tmp_path / order
        assert make(out, tmp_path / "source", "--preprocess", "none", "--channel-order", order) == 0
        assert np.array_equal(read_lmdb(out / "test_lmdb")[0], expected)
        assert json.loads((out / "manifest.json").read_text())["options"]["channel_order"] == order

    # Parameters stand in the order of the planes that they apply to, and say which.
    assert make(tmp_path / "mean", tmp_path / "source", "--preprocess", "mean", "--channel-order", "bgr") == 0
    train = np.concatenate([cifar_sources.batch(number, 20)[0] for number in range(5)]).reshape(-1, 3, 32 * 32)
    with np.load(tmp_path / "mean" / "preprocess.npz") as parameters:
        assert np.allclose(parameters["mean"], train.mean((0, 2))[::-1])
        assert str(parameters["channel_order"]) == "bgr"
