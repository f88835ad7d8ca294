"""What `caffe-acu data show` shows: the right pictures with the right labels, and statistics as NumPy has them."""

import numpy as np
import pytest
from PIL import Image

import cifar_sources
import picture_sources
from caffe_acu.cli.main import main
from caffe_acu.data.cifar_formats import CIFAR10_CLASSES
from caffe_acu.data.show import look_at
from caffe_acu.errors import UserError

SIZE = 32


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Raw records, so that pixels are exact: 5 of each of 2 classes, 32x32 already."""
    folder = tmp_path_factory.mktemp("photographs")
    for split in ("train", "val"):
        for name in ("bird", "cat"):
            for i in range(5):
                picture = picture_sources.encoded(_pixels(split, name, i), "PNG")
                picture_sources.write(folder / "source" / split / name / f"{i}.png", picture)
    arguments = ["--size", str(SIZE), "--encoding", "raw", "--workers", "1"]
    assert main(["data", "images", "--source", str(folder / "source"), "--out", str(folder / "out"), *arguments]) == 0
    return folder / "out"


def _pixels(split: str, name: str, i: int) -> np.ndarray:
    return picture_sources.pixels(f"{split}/{name}/{i}", width=SIZE, height=SIZE)


def test_pictures_and_labels(photographs):
    sheet = look_at(photographs, "val", count=10)
    originals = {_pixels("val", name, i).tobytes(): name for name in ("bird", "cat") for i in range(5)}
    assert len(sheet.pictures) == 10
    assert [originals.pop(picture.tobytes()) for picture in sheet.pictures] == sheet.labels
    assert not originals


def test_seed_chooses_the_records(photographs):
    first, again, other = (look_at(photographs, count=3, seed=seed).pictures for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)


def test_statistics_against_numpy(photographs):
    sheet = look_at(photographs)
    pixels = np.stack([_pixels("train", name, i) for name in ("bird", "cat") for i in range(5)]).astype(float)
    assert [channel.name for channel in sheet.channels] == ["B", "G", "R"] and sheet.records == 10
    for channel, values in zip(sheet.channels, pixels[..., ::-1].reshape(-1, 3).T, strict=True):
        assert channel.mean == pytest.approx(values.mean()) and channel.deviation == pytest.approx(values.std())
        assert (channel.smallest, channel.largest) == (values.min(), values.max())
        assert np.allclose(channel.shares, np.histogram(values, channel.edges)[0] / len(values))


@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_unwhitened_pictures_look_like_the_originals(tmp_path, order):
    cifar_sources.binary_batches(tmp_path / "batches", 20)
    arguments = ["--source", str(tmp_path / "batches"), "--out", str(tmp_path / "out"), "--channel-order", order]
    assert main(["data", "cifar10", *arguments, "--allow-short"]) == 0
    sheet = look_at(tmp_path / "out", "train", count=100)
    originals, labels = zip(*(cifar_sources.batch(number, 20) for number in range(5)), strict=True)
    # Normalisation has lost brightness and contrast, but no shape: as unit vectors they are the same.
    shapes = _unit(np.concatenate(originals).reshape(100, 3, 32, 32).transpose(0, 2, 3, 1))
    alike = _unit(np.stack(sheet.pictures)) @ shapes.T
    assert np.all(alike.max(axis=1) > 0.98)
    found = np.concatenate(labels)[alike.argmax(axis=1)]
    assert [CIFAR10_CLASSES[label] for label in found] == sheet.labels


def _unit(pictures: np.ndarray) -> np.ndarray:
    rows = pictures.reshape(len(pictures), -1).astype(float)
    rows -= rows.mean(axis=1, keepdims=True)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_grey_levels_come_back(tmp_path):
    cifar_sources.binary_batches(tmp_path / "batches", 10)
    arguments = ["--source", str(tmp_path / "batches"), "--out", str(tmp_path / "out"), "--preprocess", "mean-std"]
    assert main(["data", "cifar10", *arguments, "--allow-short"]) == 0
    sheet = look_at(tmp_path / "out", "test", count=10)
    original = cifar_sources.batch(5, 10)[0].reshape(10, 3, 32, 32).transpose(0, 2, 3, 1)
    assert sorted(p.tobytes() for p in sheet.pictures) == sorted(p.tobytes() for p in original)


def test_the_command_draws(photographs, tmp_path, capsys):
    out = tmp_path / "sheet.png"
    assert main(["data", "show", str(photographs), "--count", "7", "--plot", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "out: train, 10 records" in printed and "deviation" in printed
    with Image.open(out) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int)
    # A record's own colour is somewhere on the sheet: the mean of its middle.
    wanted = look_at(photographs, count=7).pictures[0][SIZE // 2, SIZE // 2].astype(int)
    assert np.abs(pixels - wanted).max(axis=2).min() <= 2


def test_bad_input(photographs, tmp_path):
    with pytest.raises(UserError, match="has no split 'test': choose one of train, val"):
        look_at(photographs, "test")
    with pytest.raises(UserError, match="manifest.json: is not there: prepare the data"):
        look_at(tmp_path)
    assert main(["data", "show", str(photographs), "--count", "0"]) == 2
    assert main(["data", "show", str(photographs), "--plot", str(tmp_path / "sheet.jpg")]) == 2
