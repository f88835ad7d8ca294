"""Every form of source is read to the byte, and nothing short, damaged or hostile is taken for whole."""

import pickle

import numpy as np
import pytest

import cifar_sources
from caffe_acu.data.options import Tolerance
from caffe_acu.data.readers import read_source
from caffe_acu.errors import UserError

FULL = 10_000


def expected_batches(count: int):
    parts = [cifar_sources.batch(number, count) for number in range(6)]
    train = np.concatenate([pixels for pixels, _ in parts[:5]]).reshape(-1, 3, 32, 32)
    return train, parts[5][0].reshape(-1, 3, 32, 32)


@pytest.mark.parametrize("form", ["python", "binary"])
@pytest.mark.parametrize("packed", [False, True])
def test_batches(tmp_path, form, packed):
    folder = tmp_path / "cifar-10-batches"
    getattr(cifar_sources, f"{form}_batches")(folder, 20)
    source = cifar_sources.tar(folder, "w:gz", ".tar.gz") if packed else folder
    sources = read_source(source, Tolerance(allow_short=True))
    train, test = expected_batches(20)
    assert np.array_equal(sources.train.images, train)
    assert np.array_equal(sources.test.images, test)
    assert sources.train.labels.tolist() == [i % 10 for i in range(20)] * 5
    assert sources.train.classes[0] == "airplane" and sources.train.classes[9] == "truck"
    assert set(sources.short.values()) == {20} and len(sources.short) == 6


def test_class_names_are_the_sources_own(tmp_path):
    names = [f"class {i}" for i in range(10)]
    cifar_sources.binary_batches(tmp_path / "b", 20)
    (tmp_path / "b" / "batches.meta.txt").write_text("\n".join(names) + "\n\n")
    cifar_sources.python_batches(tmp_path / "p", 20)
    (tmp_path / "p" / "batches.meta").write_bytes(pickle.dumps({b"label_names": [name.encode() for name in names]}, 2))
    for form in ("b", "p"):
        assert read_source(tmp_path / form, Tolerance(allow_short=True)).train.classes == tuple(names)


def test_whole_batches_are_taken_as_they_are(tmp_path):
    cifar_sources.binary_batches(tmp_path / "b", FULL)
    sources = read_source(tmp_path / "b")
    assert len(sources.train) == 50_000 and len(sources.test) == 10_000 and not sources.short


@pytest.mark.parametrize("form", ["python", "binary"])
def test_short_batches_are_refused_by_name(tmp_path, form):
    getattr(cifar_sources, f"{form}_batches")(tmp_path / "b", 20)
    with pytest.raises(UserError, match=r"data_batch_1(\.bin)?: short, 20 records of 10000.*--allow-short"):
        read_source(tmp_path / "b")


def test_a_missing_batch_is_refused_by_name(tmp_path):
    cifar_sources.python_batches(tmp_path / "b", FULL, names=("data_batch_1", "test_batch"))
    with pytest.raises(UserError, match="data_batch_2: missing"):
        read_source(tmp_path / "b")


def test_a_batch_that_ends_in_the_middle_of_a_record(tmp_path):
    cifar_sources.binary_batches(tmp_path / "b", 20)
    path = tmp_path / "b" / "data_batch_1.bin"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"data_batch_1\.bin: damaged, it ends inside record 20"):
        read_source(tmp_path / "b")
    assert read_source(tmp_path / "b", Tolerance(allow_short=True)).short["data_batch_1.bin"] == 19


def test_a_wrong_label_is_damage(tmp_path):
    cifar_sources.binary_batches(tmp_path / "b", 20)
    path = tmp_path / "b" / "data_batch_3.bin"
    contents = bytearray(path.read_bytes())
    contents[3073 * 4] = 77
    path.write_bytes(contents)
    with pytest.raises(UserError, match=r"data_batch_3\.bin: damaged, record 5 has label 77"):
        read_source(tmp_path / "b", Tolerance(allow_short=True))


def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cifar_sources.python_batches(tmp_path / "b", 20)
    (tmp_path / "b" / "data_batch_2").write_bytes(cifar_sources.hostile_pickle())
    with pytest.raises(UserError, match="data_batch_2: no batch of CIFAR-10.*exec"):
        read_source(tmp_path / "b", Tolerance(allow_short=True))
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_image_tree(tmp_path, packed):
    folder = tmp_path / "images"
    train = cifar_sources.image_tree(folder, 3)
    (folder / "train" / "notes.txt").write_text("not an image")
    sources = read_source(cifar_sources.tar(folder, "w:xz", ".tar.xz") if packed else folder)
    assert np.array_equal(sources.train.images, train)
    assert sources.train.classes == ("bird", "cat")
    assert sources.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert any("notes.txt" in name for name in sources.ignored)


def test_a_damaged_image_is_refused_by_name_or_left_out_and_listed(tmp_path):
    cifar_sources.image_tree(tmp_path / "images", 3)
    path = tmp_path / "images" / "train" / "cat" / "001.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UserError, match=r"train/cat/001\.png: damaged, cannot be decoded.*--skip-damaged"):
        read_source(tmp_path / "images")
    sources = read_source(tmp_path / "images", Tolerance(skip_damaged=True))
    assert sources.skipped == ("train/cat/001.png",)
    assert len(sources.train) == 5


def test_what_is_no_source_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file or folder"):
        read_source(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="holds neither"):
        read_source(tmp_path / "empty")
    cifar_sources.python_batches(tmp_path / "both" / "a", 20)
    cifar_sources.binary_batches(tmp_path / "both" / "b", 20)
    with pytest.raises(UserError, match="more than one data set"):
        read_source(tmp_path / "both")


def test_the_exact_heads_of_the_real_batches(shared):
    heads = shared / "data" / "cifar10-lossless-head.tar.xz"
    with pytest.raises(UserError, match="short, .* records of 10000"):
        read_source(heads)
    sources = read_source(heads, Tolerance(allow_short=True))
    assert len(sources.train) + len(sources.test) == 6_455
    assert len(sources.test) == 1_017
