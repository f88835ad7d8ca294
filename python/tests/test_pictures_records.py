"""From a file to a record: sizes, colours, kinds of files; and whole data sets, down to Caffe that trains from one."""

import io
import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.data.pictures import record_maker
from caffe_acu.data.pictures.file_list import Place
from caffe_acu.data.pictures.options import RecordOptions
from caffe_acu.data.pictures.record_maker import Batch, File, Maker
from caffe_acu.errors import UserError
from lmdb_records import read_blob
from picture_sources import encoded, picture, pixels, shows, tar_of, write
from pictures_seen import Seen, decoded, read_pictures

SIZE = 32


@pytest.fixture
def batch_of(tmp_path):
    """What becomes of the contents of a file, whose name says nothing of its kind."""

    def batch_of(contents: bytes, **options) -> Batch:
        write(tmp_path / "a file.JPEG", contents)
        maker = Maker((bytes(tmp_path),), RecordOptions(**{"size": SIZE} | options), False, False)
        return maker.make([File(0, b"a file.JPEG", Place(0, -1, -1), 3)])

    return batch_of


@pytest.fixture
def datum_of(batch_of):
    def datum_of(contents: bytes, **options) -> "caffe_pb2.Datum":
        batch = batch_of(contents, **options)
        assert not batch.failed
        return caffe_pb2.Datum.FromString(batch.records)

    return datum_of


@pytest.fixture
def raw_of(datum_of):
    """uint8 (SIZE, SIZE, 3), R, G, B: the pixels before any JPEG."""

    def raw_of(contents: bytes, **options) -> np.ndarray:
        return decoded(datum_of(contents, encoding="raw", **options))

    return raw_of


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).max())


# Per pixel and channel, in x and in y; nothing leaves 0 to 255 in what follows.
SLOPES = np.array([[2.0, 0.0, -1.0], [0.0, 3.0, 1.0]])


def ramp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 100 + x[None, :, None] * SLOPES[0] + y[:, None, None] * SLOPES[1]


@pytest.mark.parametrize("width, height", ((51, 38), (38, 51), (32, 45), (33, 33), (20, 25), (31, 32)))
@pytest.mark.parametrize("fit", ("crop", "warp"))
def test_a_ramp_stays_a_ramp(raw_of, width, height, fit):
    # Linear interpolation of a linear function is exact, whatever the sizes: the closed form is the ramp itself.
    image = np.round(ramp(np.arange(width) - width / 2, np.arange(height) - height / 2)).astype(np.uint8)
    side = min(width, height)
    crops = [((length - side) // 2, side) if fit == "crop" else (0, length) for length in (width, height)]
    x, y = (begin + (np.arange(SIZE) + 0.5) * span / SIZE - 0.5 for begin, span in crops)
    # Beyond the outermost pixels' centres nothing is known but these.
    x, y = (
        np.clip(at, begin, begin + span - 1) - length / 2
        for at, (begin, span), length in zip((x, y), crops, (width, height), strict=True)
    )
    assert distance(raw_of(encoded(image, "PNG"), fit=fit), ramp(x, y)) <= 1.5


@pytest.mark.parametrize("fit", ("crop", "warp"))
def test_enlarging_is_bilinear_as_pillows(raw_of, fit):
    image = Image.fromarray(noise(21, 26, 3))
    wanted = image.crop((2, 0, 23, 21)) if fit == "crop" else image
    wanted = np.asarray(wanted.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    assert distance(raw_of(encoded(image, "PNG"), fit=fit), wanted) <= 1


@pytest.mark.parametrize("width, height", ((640, 480), (333, 517), (257, 256)))
def test_a_large_jpeg_is_reduced_well(raw_of, width, height):
    coarse = Image.fromarray(noise(height // 48, width // 48, 3)).resize((width, height), Image.Resampling.BICUBIC)
    contents = encoded(np.asarray(coarse) // 2 + noise(height, width, 3) // 4)  # a grain that must average out
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    whole = Image.open(io.BytesIO(contents)).crop((left, top, left + side, top + side))
    wanted = np.asarray(whole.resize((SIZE, SIZE), Image.Resampling.BOX)).astype(float)
    error = np.abs(raw_of(contents) - wanted)
    assert error.mean() < 4 and np.percentile(error, 99) < 13


@pytest.mark.parametrize("kind", ("JPEG", "PNG"))
@pytest.mark.parametrize("shape", ((1, 300), (300, 1), (1, 1), (2, 5000)))
@pytest.mark.parametrize("fit", ("crop", "warp"))
def test_extreme_shapes(raw_of, kind, shape, fit):
    image = np.full((*shape, 3), [200, 100, 50], np.uint8)
    assert distance(raw_of(encoded(image, kind), fit=fit), image[:1, :1]) <= 4


def test_a_jpeg_of_the_right_size_is_kept_byte_for_byte(datum_of):
    contents = encoded(noise(SIZE, SIZE, 3), quality=80)
    datum = datum_of(contents)
    assert datum.data == contents
    assert (datum.channels, datum.height, datum.width, datum.label, datum.encoded) == (3, SIZE, SIZE, 3, True)
    assert datum_of(contents, fit="warp").data == contents
    assert datum_of(contents, size=SIZE - 1).data != contents


@pytest.mark.parametrize(
    "contents",
    (
        encoded(noise(SIZE, SIZE)),
        encoded(Image.fromarray(noise(SIZE, SIZE, 4), "CMYK")),
        encoded(noise(SIZE, SIZE, 3), keep_rgb=True),
        encoded(noise(SIZE, SIZE, 3), exif=b"Exif\0\0" + Image.Exif().tobytes()[6:]),
        encoded(noise(SIZE, SIZE, 3), comment=b"." * 4 * SIZE**2),
        encoded(noise(SIZE, SIZE, 3), "PNG"),
    ),
    ids=("grey", "CMYK", "RGB", "EXIF", "more comment than picture", "PNG"),
)
def test_other_files_of_the_right_size_are_encoded_anew(datum_of, contents):
    datum = datum_of(contents)
    assert datum.data != contents and datum.data.startswith(b"\xff\xd8\xff") and b"Exif" not in datum.data
    with Image.open(io.BytesIO(datum.data)) as image:
        assert (image.mode, image.size) == ("RGB", (SIZE, SIZE))
        assert image.layer[0][1:3] == (2, 2)  # colours at half the resolution


def test_opencv_decodes_a_record_to_b_g_r(datum_of):
    bgr = cv2.imdecode(np.frombuffer(datum_of(encoded(pixels("x", SIZE, SIZE), "PNG")).data, np.uint8), -1)
    assert distance(bgr[:, :, ::-1], pixels("x", SIZE, SIZE)) < 12


@pytest.mark.parametrize("order, step", (("rgb", 1), ("bgr", -1)))
def test_raw_records_are_exact(datum_of, order, step):
    image = noise(SIZE, SIZE, 3)
    datum = datum_of(encoded(image, "PNG"), encoding="raw", channel_order=order)
    assert datum.data == image[:, :, ::step].transpose(2, 0, 1).tobytes()
    assert (datum.channels, datum.height, datum.width, datum.label, datum.encoded) == (3, SIZE, SIZE, 3, False)


def test_quality_is_that_of_the_jpeg(datum_of):
    contents = encoded(pixels("x") ^ (noise(38, 50, 3) >> 4), "PNG")
    records = [datum_of(contents, quality=quality).data for quality in (20, 60, 95)]
    assert len(records[0]) < len(records[1]) < len(records[2])
    # The quantisation tables are those that libjpeg makes of the quality, as Pillow has them.
    for record, quality in zip(records, (20, 60, 95), strict=True):
        wanted = Image.open(io.BytesIO(encoded(noise(8, 8, 3), quality=quality))).quantization
        assert Image.open(io.BytesIO(record)).quantization == wanted


def turned(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"subsampling": 0} if kind == "JPEG" else {}
    return encoded(pixels("asymmetric", 40, 32), kind, exif=exif.tobytes(), **options)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ("JPEG", "PNG"))
def test_orientation(raw_of, orientation, kind):
    contents = turned(orientation, kind)
    with Image.open(io.BytesIO(contents)) as image:
        upright = np.asarray(ImageOps.exif_transpose(image).resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        stored = np.asarray(image.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
    assert distance(raw_of(contents, orientation="apply", fit="warp"), upright) < 8
    assert distance(raw_of(contents, orientation="ignore", fit="warp"), stored) < 8
    assert orientation == 1 or distance(upright, stored) > 25


def test_orientation_is_not_applied_once_more_by_who_decodes_the_record(datum_of):
    for orientation in ("apply", "ignore"):
        data = datum_of(turned(6, "JPEG"), orientation=orientation).data
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert np.array_equal(image, cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_IGNORE_ORIENTATION | 1))


def png16(*shape: int) -> bytes:
    """Of 16 bits, whose upper 8 are noise(*shape)."""
    return cv2.imencode(".png", noise(*shape).astype(np.uint16) * 256 + 255)[1].tobytes()


GREY = np.repeat(noise(SIZE, SIZE)[:, :, None], 3, 2)
PALETTE = Image.fromarray(noise(SIZE, SIZE, 3)).quantize(16)


@pytest.mark.parametrize(
    "contents, wanted",
    (
        (png16(SIZE, SIZE), GREY),
        (png16(SIZE, SIZE, 3), noise(SIZE, SIZE, 3)[:, :, ::-1]),
        (encoded(noise(SIZE, SIZE), "PNG"), GREY),
        (encoded(noise(SIZE, SIZE, 4), "PNG"), noise(SIZE, SIZE, 4)[:, :, :3]),
        (encoded(Image.fromarray(noise(SIZE, SIZE, 2), "LA"), "PNG"), np.repeat(noise(SIZE, SIZE, 2)[:, :, :1], 3, 2)),
        (encoded(PALETTE, "PNG"), np.asarray(PALETTE.convert("RGB"))),
        (encoded(PALETTE, "GIF"), np.asarray(PALETTE.convert("RGB"))),
        (encoded(noise(SIZE, SIZE, 3), "BMP"), noise(SIZE, SIZE, 3)),
        (encoded(noise(SIZE, SIZE, 3), "WEBP", lossless=True), noise(SIZE, SIZE, 3)),
        (encoded(Image.fromarray(GREY[:, :, 0] > 127), "PNG"), np.where(GREY > 127, 255, 0)),
    ),
    ids=("16 bits", "16 bits RGB", "grey", "alpha", "grey and alpha", "palette", "GIF", "BMP", "WebP", "1 bit"),
)
def test_lossless_files_whatever_they_are_called(batch_of, raw_of, contents, wanted):
    assert np.array_equal(raw_of(contents), wanted)
    assert batch_of(contents).remarks == {"no JPEG inside": 1}


def test_a_grey_jpeg(batch_of, raw_of):
    contents = encoded(np.full((40, 40), 77, np.uint8))
    assert distance(raw_of(contents), np.full(3, 77)) <= 1
    assert batch_of(contents).remarks == {"grey": 1}


def test_a_cmyk_jpeg(batch_of, raw_of):
    inks = np.array([200, 100, 20, 60])
    contents = encoded(Image.fromarray(np.full((40, 40, 4), inks, np.uint8), "CMYK"))
    assert distance(raw_of(contents), (255 - inks[:3]) * (255 - inks[3]) / 255) < 4
    assert batch_of(contents).remarks == {"CMYK": 1}


def test_more_archives_than_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(record_maker, "_MAX_OPEN_ARCHIVES", 2)
    names = ["a", "b", "c", "d", "a", "c"]
    paths = [tar_of(tmp_path / f"{name}.tar", [(name, picture(name))]) for name in names]
    containers = tuple(map(bytes, paths[:4]))
    places = [Place("abcd".index(name), 512, len(picture(name))) for name in names]
    before = len(os.listdir("/proc/self/fd"))
    maker = Maker(containers, RecordOptions(size=SIZE, encoding="raw"), False, False)
    batch = maker.make([File(i, b"", place, i) for i, place in enumerate(places)])
    records = io.BytesIO(batch.records)
    for name, made in zip(names, batch.made, strict=True):
        assert shows(decoded(caffe_pb2.Datum.FromString(records.read(made.size))), name)
    assert len(os.listdir("/proc/self/fd")) <= before + 2
    damaged = Place(0, 512, 10**6)
    assert maker.make([File(0, b"", damaged, 0)]).failed == [(0, "the archive ends before it")]


@pytest.mark.parametrize(
    "options, words",
    (
        ({"size": 0}, "--size is 0"),
        ({"quality": 101}, "--quality is 101"),
        ({"channel_order": "rgb"}, "rgb needs --encoding raw"),
        ({"fit": "stretch"}, "--fit"),
    ),
)
def test_wrong_options(options, words):
    with pytest.raises(UserError, match=words):
        RecordOptions(**options)


def build(source: Path, out: Path, *options: str) -> Path:
    arguments = ["data", "images", "--source", source, "--out", out, "--size", SIZE, "--workers", 2, *options]
    assert main([str(argument) for argument in arguments]) == 0
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> dict[str, Path]:
    """Data sets of the same 70 and 4 pictures, of several sizes and kinds; 70 are more than one task."""
    folder = tmp_path_factory.mktemp("built")
    for split, count in (("train", 35), ("val", 2)):
        for name in ("bird", "cat"):
            for i in range(count):
                kind, suffix = (("PNG", "png"), ("JPEG", "jpg"))[i % 2]
                image = pixels(f"{split}/{name}/{i}", SIZE + i, SIZE + i // 2)
                write(folder / "source" / split / name / f"{i}.{suffix}", encoded(image, kind))
    options = {"jpeg": [], "raw": ["--encoding", "raw"], "seed": ["--seed", "1", "--workers", "1"]}
    return {name: build(folder / "source", folder / name, *more) for name, more in options.items()}


def test_the_mean_is_that_of_the_pixels_before_jpeg(built):
    raw = np.stack([record.pixels[:, :, ::-1] for record in read_pictures(built["raw"], "train")]).astype(np.float64)
    assert len(raw) == 70
    for name in built:
        assert np.array_equal(
            read_blob(built[name] / "mean.binaryproto"), raw.mean(0).transpose(2, 0, 1)[None].astype(np.float32)
        )
        values = json.loads((built[name] / "mean.json").read_text())
        assert np.allclose(values["mean"], raw.mean((0, 1, 2)), rtol=1e-12)
        assert np.allclose(values["standard_deviation"], raw.std((0, 1, 2)), rtol=1e-9)
        assert (values["channels"], values["images"]) == ("B, G, R", 70)


def in_any_order(records: list[Seen]) -> list[tuple[str, int, bytes]]:
    return sorted((record.name, record.label, record.value) for record in records)


def test_the_seed_changes_the_order_of_training_images_alone(built):
    one, other = (read_pictures(built[name], "train") for name in ("jpeg", "seed"))
    assert in_any_order(one) == in_any_order(other)
    assert [record.name for record in one] != [record.name for record in other]
    assert [record.label for record in one] != sorted(record.label for record in one)
    assert read_files(built["jpeg"] / "val_lmdb") == read_files(built["seed"] / "val_lmdb")


def read_files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.iterdir())]


def test_records_show_what_their_table_says(built):
    for split, count in (("train", 35), ("val", 2)):
        for name in ("jpeg", "raw"):
            records = read_pictures(built[name], split)
            wanted = [f"{label}/{i}.{'jpg' if i % 2 else 'png'}" for label in ("bird", "cat") for i in range(count)]
            assert sorted(record.name for record in records) == sorted(wanted)
            for record in records:
                assert record.label == ("bird", "cat").index(record.name.split("/")[0])
                assert record.shows(f"{split}/{record.name[:-4]}"), record.name


def test_the_manifest_and_what_is_printed(tmp_path, built, capsys):
    source = tmp_path / "source"
    for name in ("train/a/1.jpg", "val/a/1.jpg"):
        write(source / name, encoded(noise(SIZE, SIZE, 3)))
    build(source, tmp_path / "out", "--limit-train", "1")
    assert "train: 1 images of 3x32x32, 1 of each of 1 classes" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]
    names = "classes.txt manifest.json mean.binaryproto mean.json train_lmdb train_records.tsv val_lmdb val_records.tsv"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names.split()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["splits"]["val"]["remarks"] == {"of the right size, kept as it is": 1}
    assert manifest["splits"]["train"]["per_class"] == {"a": 1}
    assert manifest["options"]["records"] | {"size": SIZE, "orientation": "apply"} == manifest["options"]["records"]


@pytest.mark.parametrize("name", ("jpeg", "raw"))
def test_caffe_trains_from_it(built, name):
    import caffe

    records = read_pictures(built[name], "train")[:4]
    mean = read_blob(built["raw"] / "mean.binaryproto")[0]
    spec = caffe.NetSpec()
    spec.data, spec.label = caffe.layers.Data(
        source=str(built[name] / "train_lmdb"),
        backend=caffe.params.Data.LMDB,
        batch_size=4,
        ntop=2,
        transform_param={"crop_size": SIZE - 4, "mean_file": str(built[name] / "mean.binaryproto")},
    )
    spec.loss = caffe.layers.SoftmaxWithLoss(caffe.layers.InnerProduct(spec.data, num_output=2), spec.label)
    prototxt = built[name] / "net.prototxt"
    prototxt.write_text(str(spec.to_proto()))
    net = caffe.Net(str(prototxt), caffe.TEST)  # crops the centre
    assert np.isfinite(net.forward()["loss"])
    assert net.blobs["label"].data.tolist() == [record.label for record in records]
    for image, record in zip(net.blobs["data"].data, records, strict=True):
        wanted = record.pixels[:, :, ::-1].transpose(2, 0, 1) - mean
        assert distance(image, wanted[:, 2:-2, 2:-2]) < 4  # Caffe's OpenCV is not ours
