"""Preprocessing against independent computations, and data sets that appear whole or not at all."""

import json
import shutil

import numpy as np
import pytest

import cifar_sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.data import layout
from caffe_acu.data.generated import dot_offsets, generate, sign_codes
from caffe_acu.data.lmdb_writer import serialize_datums
from caffe_acu.data.options import CifarOptions, Constellations, Tolerance, WriteOptions
from caffe_acu.data.padding import pad_images
from caffe_acu.data.prepare import prepare
from caffe_acu.data.preprocess import Preprocessing, Zca, gcn
from caffe_acu.data.readers import read_source
from caffe_acu.errors import UserError
from lmdb_records import read_lmdb


def test_gcn_by_hand():
    rows = gcn(np.array([[1.0, 2.0, 3.0, 6.0], [5.0, 5.0, 5.0, 5.0]]))
    # Without its mean of 3 the first is (-2, -1, 0, 3), of norm sqrt(14).
    assert np.allclose(rows[0], np.array([-2, -1, 0, 3]) * 55 / np.sqrt(14))
    assert np.array_equal(rows[1], np.zeros(4))


def test_zca_against_numpy():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6)) + 3
    zca = Zca.fit([x[:123], x[123:]], 0.1)
    covariance = np.cov(x, rowvar=False, bias=True)
    # Symmetric inverse square root by another route: Denman and Beavers' iteration.
    y, z = covariance + 0.1 * np.eye(6), np.eye(6)
    for _ in range(50):
        y, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
    assert np.allclose(zca.matrix, z, atol=1e-9)
    assert np.allclose(zca.apply(x), (x - x.mean(0)) @ z, atol=1e-8)


def test_zca_without_regularisation_whitens():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(400, 5)) @ rng.normal(size=(5, 5))
    assert np.allclose(np.cov(Zca.fit([x], 0.0).apply(x), rowvar=False, bias=True), np.eye(5), atol=1e-8)


def test_padding_by_hand():
    image = np.array([[[[1, 2], [3, 4]]]])
    upper, lower = [2, 1, 1, 2, 2, 1], [4, 3, 3, 4, 4, 3]
    assert pad_images(image, 2, "mirror")[0, 0].tolist() == [lower, upper, upper, lower, lower, upper]
    assert pad_images(image, 1, "zero")[0, 0].tolist() == [[0, 0, 0, 0], [0, 1, 2, 0], [0, 3, 4, 0], [0, 0, 0, 0]]


def test_datums_are_what_protobuf_writes():
    images = np.random.default_rng(2).normal(size=(3, 2, 4, 5)).astype(np.float32)
    for record, image, label in zip(serialize_datums(images, np.array([0, 7, 300])), images, (0, 7, 300), strict=True):
        datum = caffe_pb2.Datum(channels=2, height=4, width=5, label=label, float_data=image.ravel().tolist())
        assert record == datum.SerializeToString()


def test_the_whole_way(tmp_path, capsys):
    cifar_sources.python_batches(tmp_path / "source", 20)
    out = tmp_path / "out"
    assert main(["data", "cifar10", "--source", str(tmp_path / "source"), "--out", str(out), "--allow-short"]) == 0
    assert "train: 100 images of 3x40x40, 10 of each of 10 classes" in capsys.readouterr().out
    pixels = np.concatenate([cifar_sources.batch(number, 20)[0] for number in range(6)]).astype(np.float64)
    x = pixels - pixels.mean(1, keepdims=True)
    x *= 55 / np.linalg.norm(x, axis=1, keepdims=True)
    mean = x[:100].mean(0)
    values, vectors = np.linalg.eigh(np.cov(x[:100], rowvar=False, bias=True))
    white = (x - mean) @ (vectors / np.sqrt(np.maximum(values, 0) + 0.1)) @ vectors.T

    images, labels = read_lmdb(out / "test_lmdb")
    assert np.allclose(images.reshape(20, -1), white[100:], atol=1e-4)
    assert labels.tolist() == [i % 10 for i in range(20)]
    images, labels = read_lmdb(out / "train_lmdb")
    padded = np.pad(white[:100].reshape(-1, 3, 32, 32), ((0, 0), (0, 0), (4, 4), (4, 4)), "symmetric")
    # In a random order: each record is one of the images, with its label, and each image is there once.
    nearest = np.abs(images[:, None] - padded[None]).max((2, 3, 4))
    order = nearest.argmin(1)
    assert nearest.min(1).max() < 1e-4
    assert sorted(order) == list(range(100)) and order.tolist() != list(range(100))
    assert labels.tolist() == [i % 20 % 10 for i in order]

    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["splits"]["train"]["per_class"]["cat"] == 10
    loaded = Preprocessing.load(out / "preprocess.npz")
    assert np.allclose(loaded.apply(pixels[100:].reshape(-1, 3, 32, 32)).reshape(20, -1), white[100:], atol=1e-4)


OPTIONS = CifarOptions(preprocess="gcn", tolerance=Tolerance(allow_short=True))


def test_a_failure_in_the_middle_leaves_nothing(tmp_path, monkeypatch):
    cifar_sources.python_batches(tmp_path / "source", 20)
    calls = []

    def fail_at_the_second(*arguments):
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write(*arguments)

    write = layout.write_lmdb
    monkeypatch.setattr(layout, "write_lmdb", fail_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        prepare(tmp_path / "source", tmp_path / "out", OPTIONS)
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_an_existing_folder_is_kept_unless_told_otherwise(tmp_path):
    cifar_sources.python_batches(tmp_path / "source", 20)
    prepare(tmp_path / "source", tmp_path / "out", OPTIONS)
    before = (tmp_path / "out" / "manifest.json").read_bytes()
    with pytest.raises(UserError, match="exists.*--overwrite"):
        prepare(tmp_path / "source", tmp_path / "out", OPTIONS)
    assert (tmp_path / "out" / "manifest.json").read_bytes() == before
    replace = CifarOptions(preprocess="none", tolerance=OPTIONS.tolerance, write=WriteOptions(overwrite=True))
    prepare(tmp_path / "source", tmp_path / "out", replace)
    assert (tmp_path / "out" / "manifest.json").read_bytes() != before
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UserError, match="is no data set of caffe-acu"):
        prepare(tmp_path / "source", tmp_path / "mine", replace)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_leftovers_of_a_killed_run_are_cleared(tmp_path):
    cifar_sources.python_batches(tmp_path / "source", 20)
    (tmp_path / ".out.partial" / "train_lmdb").mkdir(parents=True)
    prepare(tmp_path / "source", tmp_path / "out", OPTIONS)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def test_a_full_disk_is_noticed_before_writing(tmp_path, monkeypatch):
    cifar_sources.python_batches(tmp_path / "source", 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**5))
    with pytest.raises(UserError, match=r"needs 0\.\d+ GB free, has 0\.00 GB"):
        prepare(tmp_path / "source", tmp_path / "out", OPTIONS)
    assert not (tmp_path / "out").exists()


def test_limits_take_the_first_of_every_class(tmp_path):
    cifar_sources.image_tree(tmp_path / "images", 4)
    options = CifarOptions(preprocess="none", limit_train=2, limit_test=1, write=WriteOptions(pad=0))
    prepare(tmp_path / "images", tmp_path / "out", options)
    images, labels = read_lmdb(tmp_path / "out" / "train_lmdb")
    assert sorted(labels) == [0, 0, 1, 1]
    with pytest.raises(UserError, match="class 'bird' has 4 images, fewer than the 9"):
        prepare(tmp_path / "images", tmp_path / "more", CifarOptions(limit_train=9))


def test_generated_images_depend_on_the_seed_alone():
    images, labels = generate(40, 5)
    again, labels_again = generate(40, 5)
    assert np.array_equal(images, again) and np.array_equal(labels, labels_again)
    assert not np.array_equal(images, generate(40, 6)[0])
    assert np.bincount(labels).tolist() == [5] * 8
    assert abs(generate(500, 1)[0].std() - 1) < 0.1


def test_single_dots_say_nothing_about_the_class():
    codes = sign_codes(8)
    assert len({tuple(code) for code in codes}) == 8
    assert set(codes[:, 1:].sum(1)) == {0}  # as many + as - in every class
    assert set(codes[:, 1:].sum(0)) == {0}  # and at every place of the ring


def test_a_matched_filter_of_the_right_radius_tells_the_classes():
    # The constellation of every class, correlated with the image; the best match anywhere names the class.
    what = Constellations(noise=0.5)
    images, labels = generate(200, 3, what)
    pixels = np.arange(-6, 7)

    def errors(radius: float) -> float:
        dots = dot_offsets(radius)
        profile = np.exp(-((pixels - dots[..., None]) ** 2) / 2)
        scores = []
        for code in sign_codes(8):
            template = np.einsum("k,ki,kj->ij", code, profile[:, 1], profile[:, 0])
            spectrum = np.conj(np.fft.rfft2(template, (32, 32))) * np.fft.rfft2(images.sum(1))
            scores.append(np.fft.irfft2(spectrum, (32, 32)).max((1, 2)))
        return float((np.argmax(scores, 0) != labels).mean())

    assert errors(2.5) < 0.1
    assert errors(2.5) < errors(1.2)


def test_preprocessed_real_images_are_those_the_authors_network_was_fed(shared):
    # The golden inputs were whitened with a covariance estimated from more images than these heads hold, so they
    # are close, not equal: the right image must correlate well, and every other one must not.
    golden = np.load(shared / "golden" / "golden_plain10000.npz")["input"].reshape(16, -1)
    sources = read_source(shared / "data" / "cifar10-lossless-head.tar.xz", Tolerance(allow_short=True))
    preprocessing = Preprocessing.fit(sources.train.images, "gcn-zca")
    test = preprocessing.apply(sources.test.images).reshape(len(sources.test), -1)

    def unit(x):
        return (x - x.mean(1, keepdims=True)) / np.linalg.norm(x - x.mean(1, keepdims=True), axis=1, keepdims=True)

    correlation = unit(golden) @ unit(test).T
    best = np.sort(correlation, axis=1)
    assert best[:, -1].min() > 0.95
    assert best[:, -2].max() < 0.3


def test_only_packages_that_are_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "_PACKAGES", ("numpy", "no-such-package"))
    cifar_sources.binary_batches(tmp_path / "batches", 10)
    manifest = prepare(tmp_path / "batches", tmp_path / "out", CifarOptions(tolerance=Tolerance(allow_short=True)))
    assert manifest["versions"]["numpy"] == np.__version__ and "no-such-package" not in manifest["versions"]
