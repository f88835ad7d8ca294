"""CIFAR-100 in every form, to the byte and with both labels, and every way in which a source can be wrong."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import cifar_sources
from caffe_acu.cli.main import main
from caffe_acu.data.cifar_formats import CIFAR100_COARSE_CLASSES, CIFAR100_FINE_CLASSES
from caffe_acu.data.images import Sources
from caffe_acu.data.options import CifarOptions, Tolerance
from caffe_acu.data.readers import read_source
from caffe_acu.errors import UserError

FORMS = ("python", "binary")
TRAIN, TEST = 200, 100
SHORT = Tolerance(allow_short=True)


def write(form: str, folder: Path, train: int = TRAIN, test: int = TEST) -> Path:
    getattr(cifar_sources, f"cifar100_{form}")(folder, train, test)
    return folder


def read(path: Path, tolerance: Tolerance = SHORT, labels: str = "fine") -> Sources:
    return read_source(path, tolerance, "cifar100", labels)


def file(folder: Path, name: str, form: str) -> Path:
    return folder / (name + (".bin" if form == "binary" else ""))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("labels", ["fine", "coarse"])
def test_every_form_with_both_labels(tmp_path, form, packed, labels):
    source = write(form, tmp_path / "cifar-100")
    sources = read(cifar_sources.tar(source, "w:gz", ".tar.gz") if packed else source, labels=labels)
    for name, images, count in (("train", sources.train, TRAIN), ("test", sources.test, TEST)):
        pixels, coarse, fine = cifar_sources.cifar100_batch(name, count)
        assert np.array_equal(images.images, pixels.reshape(-1, 3, 32, 32))
        assert images.labels.tolist() == (fine if labels == "fine" else coarse).tolist()
        assert images.classes == getattr(cifar_sources, f"{labels.upper()}_NAMES")
    assert sorted(sources.short.values()) == [TEST, TRAIN]


def test_whole_files_are_taken_as_they_are(tmp_path):
    sources = read(write("binary", tmp_path / "b", 50_000, 10_000), Tolerance())
    assert len(sources.train) == 50_000 and len(sources.test) == 10_000 and not sources.short


@pytest.mark.parametrize("form", FORMS)
def test_short_files_are_refused_by_name(tmp_path, form):
    write(form, tmp_path / "b")
    with pytest.raises(UserError, match=r"train(\.bin)?: short, 200 records of 50000: .*cifar100.*--allow-short"):
        read(tmp_path / "b", Tolerance())


@pytest.mark.parametrize("form", FORMS)
def test_more_records_than_official_are_refused(tmp_path, form):
    write(form, tmp_path / "b", TRAIN, 10_001)
    with pytest.raises(UserError, match=r"test(\.bin)?: holds 10001 records, more than the official 10000"):
        read(tmp_path / "b")


@pytest.mark.parametrize("form", FORMS)
def test_a_missing_file_is_refused_by_name(tmp_path, form):
    write(form, tmp_path / "b")
    file(tmp_path / "b", "train", form).unlink()
    with pytest.raises(UserError, match=r"train(\.bin)?: missing"):
        read(tmp_path / "b", Tolerance())
    with pytest.raises(UserError, match="holds no training images"):
        read(tmp_path / "b")


def test_a_file_that_ends_in_the_middle_of_a_record(tmp_path):
    path = file(write("binary", tmp_path / "b"), "train", "binary")
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"train\.bin: damaged, it ends inside record 200"):
        read(tmp_path / "b", Tolerance())
    assert read(tmp_path / "b").short["train.bin"] == 199


@pytest.mark.parametrize("byte, label, largest", [(0, "coarse", 19), (1, "fine", 99)])
@pytest.mark.parametrize("asked", ["fine", "coarse"])
def test_a_wrong_label_is_damage_whichever_is_asked_for(tmp_path, byte, label, largest, asked):
    path = file(write("binary", tmp_path / "b"), "test", "binary")
    contents = bytearray(path.read_bytes())
    contents[3074 * 6 + byte] = largest + 1
    path.write_bytes(contents)
    with pytest.raises(
        UserError, match=rf"test\.bin: damaged, record 7 has {label} label {largest + 1}, .* 0 to {largest}"
    ):
        read(tmp_path / "b", labels=asked)


def damaged_batch(**changes) -> bytes:
    pixels, coarse, fine = cifar_sources.cifar100_batch("train", 3)
    contents = {"data": pixels, "coarse_labels": coarse.tolist(), "fine_labels": fine.tolist()} | changes
    return pickle.dumps({key.encode(): value for key, value in contents.items() if value is not None}, 2)


@pytest.mark.parametrize(
    "contents, reason",
    [
        (damaged_batch()[:-100], "only \\d+ remain|exhausted"),
        (damaged_batch(data=None), "no array 'data'"),
        (damaged_batch(fine_labels=None), "no list 'fine_labels'"),
        (damaged_batch(coarse_labels=["1", "2", "3"]), "no list 'coarse_labels'"),
        (damaged_batch(coarse_labels=[1, 2]), r"shape \(3, 3072\) for 2 and 3 labels"),
        (damaged_batch(fine_labels=[1, 2, 2**70]), "too large"),
        (pickle.dumps([1], 2), "no dictionary"),
        (cifar_sources.hostile_pickle(), "exec"),
    ],
)
def test_damaged_and_hostile_pickles(tmp_path, monkeypatch, contents, reason):
    monkeypatch.chdir(tmp_path)
    write("python", tmp_path / "b")
    (tmp_path / "b" / "train").write_bytes(contents)
    with pytest.raises(UserError, match=rf"train: no batch of CIFAR-100, or a damaged one \(.*({reason})"):
        read(tmp_path / "b")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize(
    "names, reason",
    [
        (b"only\ntwo", "holds 2 class names, 2 of them different, instead of 100"),
        (b"\n".join([b"same"] * 100), "holds 100 class names, 1 of them different"),
        (b"\xff\xfe\n" * 100, "cannot be read"),
    ],
)
def test_damaged_names(tmp_path, names, reason):
    write("binary", tmp_path / "b")
    (tmp_path / "b" / "fine_label_names.txt").write_bytes(names)
    with pytest.raises(UserError, match=rf"fine_label_names\.txt: damaged, .*{reason}"):
        read(tmp_path / "b")
    read(tmp_path / "b", labels="coarse")


@pytest.mark.parametrize("contents", [b"", pickle.dumps({b"fine_label_names": 3}, 2), cifar_sources.hostile_pickle()])
def test_damaged_names_in_a_pickle(tmp_path, contents):
    write("python", tmp_path / "p")
    (tmp_path / "p" / "meta").write_bytes(contents)
    with pytest.raises(UserError, match="meta: damaged, its names cannot be read"):
        read(tmp_path / "p")


@pytest.mark.parametrize("form", FORMS)
def test_without_names_the_official_ones_are_taken(tmp_path, form):
    write(form, tmp_path / "b")
    for name in ("meta", "fine_label_names.txt", "coarse_label_names.txt"):
        (tmp_path / "b" / name).unlink(missing_ok=True)
    assert read(tmp_path / "b").test.classes == CIFAR100_FINE_CLASSES
    assert read(tmp_path / "b", labels="coarse").test.classes == CIFAR100_COARSE_CLASSES


def test_the_official_names():
    for names, count in ((CIFAR100_FINE_CLASSES, 100), (CIFAR100_COARSE_CLASSES, 20)):
        assert len(set(names)) == len(names) == count
        assert list(names) == sorted(names)
    # As other readers of the data set have them, label by label.
    assert [CIFAR100_FINE_CLASSES[label] for label in (0, 23, 41, 71, 99)] == [
        "apple", "cloud", "lawn_mower", "sea", "worm",
    ]  # fmt: skip
    assert [CIFAR100_COARSE_CLASSES[label] for label in (0, 4, 13, 19)] == [
        "aquatic_mammals", "fruit_and_vegetables", "non-insect_invertebrates", "vehicles_2",
    ]  # fmt: skip


def test_two_data_sets_in_one_source(tmp_path):
    write("python", tmp_path / "both" / "a")
    write("binary", tmp_path / "both" / "b")
    with pytest.raises(UserError, match=r"more than one data set \(.*Python.* in a; .*binary.* in b\)"):
        read(tmp_path / "both")
    shutil.rmtree(tmp_path / "both" / "a")
    # Of two that differ in kind the command's name says which one is meant.
    cifar_sources.python_batches(tmp_path / "both" / "a", 20)
    assert len(read(tmp_path / "both").train) == TRAIN
    assert len(read_source(tmp_path / "both", SHORT).train) == 100


@pytest.mark.parametrize("form", FORMS)
def test_the_other_data_set_is_answered_with_the_right_command(tmp_path, capsys, form):
    getattr(cifar_sources, f"{form}_batches")(tmp_path / "ten", 20)
    write(form, tmp_path / "hundred")
    cifar_sources.image_tree(tmp_path / "files", 2)
    for asked, source, right in (
        ("cifar100", "ten", "cifar10"),
        ("cifar10", "hundred", "cifar100"),
        ("cifar100", "files", "cifar10"),
    ):
        path = tmp_path / source
        assert main(["data", asked, "--source", str(path), "--out", str(tmp_path / "out")]) == 2
        error = capsys.readouterr().err
        assert error.endswith(f"read it with `caffe-acu data {right} --source {path}`\n") and error.count("\n") == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty: holds none of train, test of CIFAR-100"):
        read(tmp_path / "empty")


def test_options_are_checked():
    with pytest.raises(UserError, match="--labels is 'coarse'"):
        CifarOptions(labels="coarse")
    with pytest.raises(UserError, match="data_set is 'cifar1000'"):
        CifarOptions(data_set="cifar1000")
