"""Files that cannot be used: refused, mended, left out or kept; and what they must not do to the rest."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

import picture_sources
from caffe_acu.data.pictures import build
from caffe_acu.data.pictures import prepare as pictures_prepare
from caffe_acu.data.pictures.places import plan_places
from caffe_acu.data.pictures.record_maker import TASK_FILES
from caffe_acu.data.verify import verify
from caffe_acu.errors import UserError
from lmdb_records import read_blob
from picture_sources import class_tree, encoded, picture, pixels, tar_of, write
from pictures_run import COUNT, contents_of, prepare, raising
from pictures_seen import read_pictures


def cut(contents: bytes) -> bytes:
    """Without the last of the coded pixels."""
    return contents[:-100]


def corrupted(contents: bytes) -> bytes:
    """With a marker among the coded pixels that belongs elsewhere."""
    return contents[:-150] + b"\xff\xd8" * 8 + contents[-134:]


# File of the tree below -> what becomes of it, words of the reason, and whether some of it can be decoded.
DAMAGES = {
    "train/bird/003.jpg": (cut, "Premature end of JPEG file", True),
    "train/bird/039.jpg": (corrupted, "JPEG", True),
    "train/cat/000.jpg": (lambda _: b"", "an empty file", False),
    "train/cat/017.jpg": (lambda _: b"<html>not found</html>", "no picture of a known format", False),
    "train/cat/039.jpg": (lambda _: cut(encoded(pixels("png"), "PNG")), "truncated", False),
    "val/cat/001.jpg": (lambda contents: contents[:20], "its JPEG header cannot be read", False),
}
GONE = "val/bird/002.jpg"
REASONS = {name: words for name, (_, words, _) in DAMAGES.items()} | {GONE: r"cannot be read (No such file"}


@pytest.fixture
def damaged(whole, tmp_path) -> Path:
    source = shutil.copytree(whole, tmp_path / "source")
    for name, (damage, _, _) in DAMAGES.items():
        (source / name).write_bytes(damage((source / name).read_bytes()))
    (source / GONE).unlink()
    (source / GONE).symlink_to(tmp_path / "unmounted" / "002.jpg")
    return source


def listed(path: Path) -> dict[str, str]:
    """Names below the split's folder, with it -> reason."""
    entries = [line.split("\t") for line in path.read_text().splitlines()]
    return {f"{split}/{name.partition(f'/{split}/')[2]}": reason for split, name, reason in entries}


def assert_listed(path: Path, expected: dict[str, str]) -> None:
    found = listed(path)
    assert found.keys() == expected.keys()
    for name, words in expected.items():
        assert words in found[name]


def mend(source: Path, whole: Path) -> None:
    for name in REASONS:
        (source / name).unlink()
        shutil.copy(whole / name, source / name)


def test_damaged_files_are_refused_and_can_be_mended(damaged, whole, wanted, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(UserError, match=r"7 of 400 files cannot be used, all are listed in .*out\.damaged\.tsv: mend"):
        prepare(damaged, out)
    assert_listed(tmp_path / "out.damaged.tsv", REASONS)
    assert not out.exists()
    # Half of it mended is refused again, for the rest.
    mended = {"val/cat/001.jpg", "train/cat/000.jpg"}
    for name in mended:
        shutil.copy(whole / name, damaged / name)
    with pytest.raises(UserError, match="5 of 400"):
        prepare(damaged, out)
    assert_listed(tmp_path / "out.damaged.tsv", {name: words for name, words in REASONS.items() if name not in mended})
    # What was done is not done again: only what was damaged is read.
    for path in damaged.rglob("*.jpg"):
        if f"{path.relative_to(damaged)}" not in REASONS:
            path.write_bytes(b"no picture any more")
    mend(damaged, whole)
    prepare(damaged, out)
    assert contents_of(out) == wanted
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def names_of(out: Path) -> set[str]:
    return {f"{split}/{record.name}" for split in ("train", "val") for record in read_pictures(out, split)}


@pytest.fixture(scope="module")
def everything(whole) -> set[str]:
    return {f"{path.relative_to(whole)}" for path in whole.rglob("*.jpg")}


def test_damaged_files_are_skipped(damaged, tmp_path, everything):
    out = tmp_path / "out"
    manifest = prepare(damaged, out, encoding="raw", damaged="skip")
    assert names_of(out) == everything - REASONS.keys()
    assert_listed(out / "left_out.tsv", REASONS)
    assert (manifest["damaged"], manifest["left_out"]) == ("skip", {"train": 5, "val": 2})
    assert manifest["splits"]["train"]["per_class"] == {"bird": COUNT - 2, "cat": COUNT - 3}
    records = read_pictures(out, "train")
    mean = np.stack([record.pixels for record in records]).astype(np.float64).mean(0)[:, :, ::-1].transpose(2, 0, 1)
    assert np.array_equal(read_blob(out / "mean.binaryproto")[0], mean.astype(np.float32))
    assert all(record.shows(f"train/{record.name[:-7]}{int(record.name[-7:-4])}") for record in records)
    assert verify(out, 1).findings == []


def test_damaged_files_are_kept_as_far_as_they_go(damaged, tmp_path, everything):
    out = tmp_path / "out"
    manifest = prepare(damaged, out, damaged="keep")
    kept = {name for name, (_, _, readable) in DAMAGES.items() if readable}
    assert names_of(out) == everything - REASONS.keys() | kept
    assert_listed(out / "left_out.tsv", REASONS | dict.fromkeys(kept, "damaged; what could be decoded is used"))
    assert manifest["left_out"] == {"train": 5, "val": 2}
    assert manifest["splits"]["train"]["remarks"] == {"damaged, kept": 2}
    assert manifest["splits"]["train"]["images"] == 2 * COUNT - 3
    # The upper part of the picture is there.
    (record,) = (record for record in read_pictures(out, "train") if record.name == "bird/003.jpg")
    upper = picture_sources.centre(pixels("train/bird/3"))[:8]
    assert np.abs(record.pixels[:8].mean((0, 1)) - upper.mean((0, 1))).max() < 10
    assert verify(out, 1).findings == []


@pytest.mark.parametrize(
    "step, calls, damaged_first, damaged_then, words",
    (
        ("build_split", 2, "keep", "skip", "with --damaged keep kept 2 damaged files"),
        ("write_manifest", 1, "keep", "skip", "with --damaged keep left out or kept 7 files"),
        ("write_manifest", 1, "skip", "refuse", "with --damaged skip left out or kept 7 files"),
    ),
)
def test_another_decision_about_damages(
    damaged, tmp_path, monkeypatch, step, calls, damaged_first, damaged_then, words
):
    out = tmp_path / "out"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        raising(patch, pictures_prepare, step, calls)
        prepare(damaged, out, damaged=damaged_first)
    with pytest.raises(UserError, match=f"{words}: go on with --damaged {damaged_first}, or begin anew"):
        prepare(damaged, out, damaged=damaged_then)
    assert prepare(damaged, out, damaged=damaged_first)["damaged"] == damaged_first


def test_files_left_out_of_a_plan_stay_left_out(tmp_path, monkeypatch):
    class_tree(tmp_path / "source", 1, splits=("val",))
    tar_of(tmp_path / "source" / "train.tar", [(f"{name}/0.jpg", picture(name)) for name in ("bird", "cat", "bird")])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        raising(patch, pictures_prepare, "build_split", 2)
        prepare(tmp_path / "source", tmp_path / "out", damaged="skip")
    with pytest.raises(UserError, match="with --damaged skip left out or kept 1 files"):
        prepare(tmp_path / "source", tmp_path / "out")


def test_a_source_that_is_gone_is_not_read_to_its_end(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(build, "_MAX_REFUSED", 10)
    source = shutil.copytree(whole, tmp_path / "source")
    for path in source.rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=f"{2 * TASK_FILES} of 400 files cannot be used"):
        prepare(source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("split", ("train", "val"))
def test_something_must_be_left_of_each_split(whole, wanted, tmp_path, split):
    source = shutil.copytree(whole, tmp_path / "source")
    for path in (source / split).rglob("*.jpg"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=f"{2 * COUNT} of {4 * COUNT} files cannot be used"):
        prepare(source, tmp_path / "out", damaged="skip")
    assert len(listed(tmp_path / "out.damaged.tsv")) == 2 * COUNT
    shutil.copytree(whole, source, dirs_exist_ok=True)
    prepare(source, tmp_path / "out", damaged="skip")
    assert contents_of(tmp_path / "out") == wanted


def test_files_without_permission(damaged, tmp_path):
    path = damaged / "train" / "bird" / "000.jpg"
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(UserError, match="8 of 400"):
        prepare(damaged, tmp_path / "out")
    assert "Permission denied" in listed(tmp_path / "out.damaged.tsv")["train/bird/000.jpg"]


def test_a_name_twice_in_a_tar(tmp_path):
    class_tree(tmp_path / "source", 1)
    again = [("train/bird/7.jpg", picture("first")), ("train/bird/7.jpg", picture("second"))]
    shutil.rmtree(tmp_path / "source" / "train")
    tree = [(f"train/{name}/0.jpg", picture(name)) for name in ("bird", "cat")]
    tar_of(tmp_path / "source" / "train.tar", tree + again)
    with pytest.raises(UserError, match="a name that was there before with the same label; 1 of 5 files"):
        prepare(tmp_path / "source", tmp_path / "out")
    manifest = prepare(tmp_path / "source", tmp_path / "out", damaged="skip")
    assert manifest["left_out"] == {"train": 1}
    (record,) = (record for record in read_pictures(tmp_path / "out", "train") if record.name == "bird/7.jpg")
    assert record.shows("first")


def test_an_image_listed_twice_with_other_labels(tmp_path):
    picture_sources.places(tmp_path, 1)
    with (tmp_path / "places365_val.txt").open("a") as file:
        file.write("Places365_val_00000001.jpg 2\n")
    (left_out,) = plan_places([tmp_path], allow_short=True).left_out
    assert left_out.reason == "a name that was there before with another label, 1 instead of 2"


def test_names_that_would_break_a_table(tmp_path):
    names = ("two\nlines.jpg", "a\ttab.jpg", os.fsdecode(b"\xff\\.jpg"), "\r.jpg")
    for split in ("train", "val"):
        for name in names:
            write(tmp_path / "source" / split / "a class" / name, picture(name))
    bad = tmp_path / "source" / "val" / "a class" / "bad\n\t.jpg"
    write(bad, b"")
    with pytest.raises(UserError, match="1 of 9 files"):
        prepare(tmp_path / "source", tmp_path / "out")
    (line,) = (tmp_path / "out.damaged.tsv").read_text().splitlines()
    assert line.split("\t")[1:] == [f"{tmp_path}/source/val/a class/bad\\n\\t.jpg", "an empty file"]
    bad.unlink()
    write(bad, picture("bad"))
    prepare(tmp_path / "source", tmp_path / "out")
    table = (tmp_path / "out" / "train_records.tsv").read_bytes().splitlines()
    escaped = [b"two\\nlines", b"a\\ttab", b"\xff\\\\", b"\\r"]
    assert sorted(line.split(b"\t")[3] for line in table) == sorted(b"a class/%s.jpg" % name for name in escaped)
    assert verify(tmp_path / "out", 1).findings == []
