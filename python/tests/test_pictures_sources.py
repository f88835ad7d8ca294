"""Places365, folders of one's own and tar archives: files, labels and order, and what is refused."""

import os
import tarfile
from pathlib import Path

import pytest

import picture_sources
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.cli.main import main
from caffe_acu.data.pictures.class_folders import plan_class_folders
from caffe_acu.data.pictures.file_list import FileList
from caffe_acu.data.pictures.options import PictureOptions
from caffe_acu.data.pictures.places import plan_places
from caffe_acu.data.pictures.search import search
from caffe_acu.errors import UserError
from picture_sources import PLACES, class_tree, encoded, picture, pixels, tar_of, write
from pictures_seen import in_class_tree, read_pictures, seen

# What the records of Places365 must be, from nothing but picture_sources' description of it.
PLACES_TRAIN = [(f"{name}/{i:08d}.jpg", label) for label, name in enumerate(PLACES) for i in (1, 2)]
PLACES_VAL = [(f"Places365_val_{i + 1:08d}.jpg", (2 * i + 1) % 3) for i in range(6)]
PLACES_CLASSES = ("airfield", "apartment_building/outdoor", "zen_garden")


def assert_refused(words: str, make_plan, *arguments, **options) -> None:
    with pytest.raises(UserError, match=words) as caught:
        make_plan(*arguments, **options)
    assert "\n" not in str(caught.value)


@pytest.fixture
def places(tmp_path) -> Path:
    picture_sources.places(tmp_path / "places", 2)
    return tmp_path / "places"


def assert_places(*sources: Path) -> None:
    found = plan_places(sources, allow_short=True)
    assert seen(found.train, str) == PLACES_TRAIN
    assert seen(found.test, str) == PLACES_VAL
    assert found.classes == PLACES_CLASSES
    assert found.left_out == ()


@pytest.mark.parametrize("images, vals", (("data_256", "val_256"), ("data_large", "val_large")))
def test_places_in_folders(tmp_path, images, vals):
    picture_sources.places(tmp_path, 2, images, vals)
    assert_places(tmp_path)
    assert_places(*tmp_path.iterdir())


def test_places_in_the_official_tars(places):
    # As the official ones, they hold the folders data_256 and val_256.
    for folder, name in (("data_256", "train_256_places365standard.tar"), ("val_256", "val_256.tar")):
        with tarfile.open(places / name, "w") as tar:
            tar.add(places / folder, folder)
        (places / folder).rename(places.parent / folder)
    assert_places(places)
    assert_places(*places.iterdir())


def test_places_classes_without_their_list(places):
    (places / "categories_places365.txt").unlink()
    assert_places(places)


def test_places_lists_what_is_missing(places):
    (places / "data_256" / PLACES_TRAIN[3][0]).unlink()
    found = plan_places([places], allow_short=True)
    assert seen(found.train, str) == [entry for entry in PLACES_TRAIN if entry != PLACES_TRAIN[3]]
    assert found.left_out == (("train", PLACES_TRAIN[3][0], "listed in places365_train_standard.txt, but not there"),)


def test_places_by_the_command_line(places, tmp_path):
    arguments = ["--out", str(tmp_path / "out"), "--allow-short", "--workers", "1"]
    assert main(["data", "places365", "--source", str(places), *arguments]) == 0
    assert (tmp_path / "out" / "classes.txt").read_text().split() == list(PLACES_CLASSES)
    records = read_pictures(tmp_path / "out", "val")
    assert [(record.name, record.label) for record in records] == PLACES_VAL
    # They have the default size already and are kept.
    files = [(places / "val_256" / name).read_bytes() for name, _ in PLACES_VAL]
    assert [caffe_pb2.Datum.FromString(record.value).data for record in records] == files


@pytest.mark.parametrize(
    "name, more, words",
    (
        ("places365_val.txt", "Places365_val_00000001.jpg\n", "places365_val.txt: line 7 is not"),
        ("places365_val.txt", "Places365_val_00000001.jpg x\n", "places365_val.txt: line 7 is not"),
        ("places365_val.txt", "Places365_val_00000001.jpg 3\n", "has label 3, but there are 3 classes"),
        ("places365_train_standard.txt", "/b/beach/1.jpg 0\n", "label 0 is of 'a/airfield' and of 'b/beach'"),
        ("places365_train_standard.txt", "/b/beach/1.jpg 4\n", "its labels are not 0 to 3, each used"),
    ),
)
def test_wrong_listings_of_places(places, name, more, words):
    with (places / name).open("a") as file:
        file.write(more)
    assert_refused(words, plan_places, [places], True)


def test_incomplete_places(places, tmp_path):
    assert_refused("3 classes, where the official set has 365", plan_places, [places])
    picture_sources.places(tmp_path / "large", 1, "data_large", "val_large")
    assert_refused("two listings of the same name", plan_places, [places, tmp_path / "large"], True)
    (places / "data_256").rename(places / "data")
    assert_refused("holds no data_large or data_256 with the train images", plan_places, [places], True)
    (places / "places365_val.txt").unlink()
    assert_refused("holds no places365_val.txt", plan_places, [places], True)


def test_places_images_that_are_there_twice(places):
    tar_of(places / "train.tar", [("data_256/x.jpg", picture("x"))])
    assert_refused(
        "the train images more than once, in places/data_256/ and places/train/", plan_places, [places], True
    )


def tree(split: str, classes=("bird", "cat"), per_class: int = 2) -> list[tuple[str, int]]:
    """What class_tree writes for a split: name without the split, label."""
    return [(f"{name}/{i:03d}.jpg", label) for label, name in enumerate(classes) for i in range(per_class)]


def own(*sources: Path, **options):
    found = plan_class_folders(sources, **options)
    return found, seen(found.train, in_class_tree("train")), seen(found.test, in_class_tree(found.test_name))


@pytest.mark.parametrize("splits", (("train", "val"), ("train", "test")))
def test_own_pictures(tmp_path, splits):
    class_tree(tmp_path / "mine", 2, splits)
    found, train, test = own(tmp_path / "mine")
    assert (train, test, found.test_name) == (tree("train"), tree(splits[1]), splits[1])
    assert (found.classes, found.left_out, found.ignored) == (("bird", "cat"), (), 0)


@pytest.mark.parametrize("name", ("test", "train", ".hidden"))
def test_the_sources_own_name_says_nothing(tmp_path, name):
    class_tree(tmp_path / name, 2)
    assert own(tmp_path / name)[1:] == (tree("train"), tree("val"))


def test_own_pictures_in_tars_and_split_by_split(tmp_path):
    class_tree(tmp_path / "mine", 2)
    for folder, name in (("mine", "packed.tar"), ("mine/train", "train.tar"), ("mine/val", "val.tar")):
        with tarfile.open(tmp_path / name, "w") as tar:
            tar.add(tmp_path / folder, Path(folder).name)
    with tarfile.open(tmp_path / "flat.tar", "w") as tar:
        tar.add(tmp_path / "mine", ".")
    for sources in (["packed.tar"], ["train.tar", "val.tar"], ["flat.tar"], ["mine/train", "mine/val"]):
        assert own(*(tmp_path / source for source in sources))[1:] == (tree("train"), tree("val")), sources


CLASSES = ("new orleans", "new york", os.fsdecode(b"caf\xe9"), "train", "two\nlines\tand a tab")


def test_strange_names(tmp_path):
    class_tree(tmp_path, 1, classes=CLASSES)
    nested = tmp_path / "train" / "new york" / "2019" / "may" / os.fsdecode(b"\xff 1.JPG")
    write(nested, picture(f"train/new york/2019/may/{nested.stem}"))
    found = plan_class_folders([tmp_path])
    assert found.classes == ("caf\\xe9", "new orleans", "new york", "train", "two\\nlines\\tand a tab")
    folders = sorted(CLASSES, key=os.fsencode)
    expected = [(f"{name}/000.jpg", label) for label, name in enumerate(folders)]
    expected.insert(3, ("new york/2019/may/" + nested.name, 2))
    assert seen(found.train, in_class_tree("train")) == expected


def test_a_class_file_of_own_pictures(tmp_path):
    class_tree(tmp_path / "mine", 2, classes=("new orleans", "new york", "paris", "rome"))
    classes = tmp_path / "classes.txt"
    classes.write_text("new york\nparis in France\nnew orleans\n")
    found, train, _ = own(tmp_path / "mine", class_file=classes)
    assert found.classes == ("new york", "paris in France", "new orleans")
    assert train == tree("train", ("new york", "paris", "new orleans"))
    assert found.ignored == 4
    for text, words in (
        ("paris\nathens\n", "class 'athens' of --classes has no folder"),
        ("paris\nparis in Texas\n", "names paris twice"),
    ):
        classes.write_text(text)
        assert_refused(words, plan_class_folders, [tmp_path / "mine"], classes)


def test_a_random_part_for_testing(tmp_path):
    sizes = {"bird": 10, "cat": 20}
    everything = {f"{name}/{i}.jpg" for name, count in sizes.items() for i in range(count)}
    for name in everything:
        write(tmp_path / "mine" / name, picture(f"all/{name[:-4]}"))
    write(tmp_path / "mine" / "cover.jpg", picture("cover"))  # of no class

    def split(seed: int) -> tuple[set[str], set[str]]:
        found = plan_class_folders([tmp_path / "mine"], test_fraction=0.3, seed=seed)
        assert (found.classes, found.test_name, found.ignored) == (("bird", "cat"), "test", 1)
        lists = [seen(files, in_class_tree("all")) for files in (found.train, found.test)]
        assert all(label == sorted(sizes).index(name.split("/")[0]) for files in lists for name, label in files)
        return tuple({name for name, _ in files} for files in lists)

    train, test = split(0)
    assert not train & test and train | test == everything
    assert [sum(name.startswith(folder) for name in test) for folder in sizes] == [3, 6]
    assert split(0) == (train, test)
    assert split(1) != (train, test)


def test_a_random_part_of_a_single_class_and_of_a_tar(tmp_path):
    class_tree(tmp_path, 2, ("mine",), ("bird",))
    assert plan_class_folders([tmp_path / "mine"], test_fraction=0.5).classes == ("bird",)
    found = plan_class_folders([small_tar(tmp_path / "photos.tar")], test_fraction=0.5)
    assert (found.classes, len(found.train), len(found.test)) == (("bird", "cat"), 2, 2)


@pytest.mark.parametrize(
    "fraction, words",
    (
        (0.01, "class 'bird' has 2 images, of which --test-fraction 0.01 makes 0"),
        (0.9, "makes 2 for testing: both splits need one"),
        (1.5, "--test-fraction is 1.5: it takes"),
        (float("nan"), "--test-fraction is nan"),
    ),
)
def test_a_wrong_part_for_testing(tmp_path, fraction, words):
    class_tree(tmp_path, 2)
    assert_refused(words, plan_class_folders, [tmp_path / "train"], None, fraction)


def test_own_pictures_that_make_no_data_set(tmp_path):
    class_tree(tmp_path / "mine", 1)
    assert_refused("holds no train/<class>.*--test-fraction", plan_class_folders, [tmp_path / "mine" / "train"])
    write(tmp_path / "mine" / "train" / "dog" / "1.png", picture("1"))
    assert_refused("class 'dog' has training images but no test images", plan_class_folders, [tmp_path / "mine"])
    class_tree(tmp_path / "more", 1)
    words = "mine/train/ and more/train/: two folders of the same split"
    assert_refused(words, plan_class_folders, [tmp_path / "mine", tmp_path / "more"])


def test_limits_and_order(tmp_path):
    class_tree(tmp_path, 5)
    found = plan_class_folders([tmp_path]).arranged(PictureOptions(seed=3, limit_train=3, limit_test=1))
    assert sorted(seen(found.train, in_class_tree("train"))) == tree("train", per_class=3)
    assert seen(found.train, in_class_tree("train")) != tree("train", per_class=3)
    assert seen(found.test, in_class_tree("val")) == tree("val", per_class=1)


def small_tar(path: Path) -> Path:
    return tar_of(path, ((f"{name}/{i}.jpg", picture(f"{name}/{i}")) for name in ("bird", "cat") for i in range(2)))


def members(path: Path) -> list[tarfile.TarInfo]:
    with tarfile.open(path) as tar:
        return tar.getmembers()


def test_a_tar_that_was_cut_short(tmp_path):
    path = small_tar(tmp_path / "photos.tar")
    whole, last = path.read_bytes(), members(path)[-1]
    end = last.offset_data + -(-last.size // 512) * 512
    # In the header, in a member, at its end, at the end of its padding, and without any of the blocks of zeros.
    for size in (0, 100, last.offset + 100, last.offset_data, last.offset_data + 5, end - 512, end):
        path.write_bytes(whole[:size])
        assert_refused("photos.tar: cut short or damaged", search, [path])
    path.write_bytes(whole[: end + 1024])  # all that the format demands
    assert len(search([path]).pictures) == 4
    path.write_bytes(whole[: last.offset] + b"\xff" * 512 + whole[last.offset + 512 :])
    assert_refused("photos.tar: cut short or damaged", search, [path])


def test_a_tar_in_a_tar_that_was_cut_short(tmp_path):
    whole = small_tar(tmp_path / "bird.tar").read_bytes()
    last = members(tmp_path / "bird.tar")[-1]
    end = last.offset_data + -(-last.size // 512) * 512
    # What follows in the outer archive must not be taken for the rest of the inner one.
    for size in (end, end - 512, last.offset_data + 5):
        outer = tar_of(tmp_path / "outer.tar", [("a.tar", whole[:size]), ("b.tar", whole)])
        assert_refused("outer.tar: outer/a.tar: cut short or damaged", search, [outer])


@pytest.mark.parametrize("suffix, mode", ((".tar", "w:gz"), (".tar", "w:xz"), (".tar", "w:bz2")))
def test_a_compressed_tar(tmp_path, suffix, mode):
    with tarfile.open(tmp_path / f"photos{suffix}", mode) as tar:
        tar.addfile(tarfile.TarInfo("x"))
    assert_refused("is compressed, .*unpack it, and give the folder", search, [tmp_path / f"photos{suffix}"])


@pytest.mark.parametrize("kind", (tarfile.SYMTYPE, tarfile.LNKTYPE))
def test_a_tar_with_links(tmp_path, kind):
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        member = tarfile.TarInfo("bird/1.jpg")
        member.type, member.linkname = kind, "bird/0.jpg"
        tar.addfile(member)
    assert_refused("photos/bird/1.jpg is a link: pack .*--dereference", search, [tmp_path / "photos.tar"])


def test_long_and_strange_names_in_every_format_of_tar(tmp_path):
    names = [os.fsdecode(b"\xff/" + b"y" * 120 + b"/1.png"), "bird/ä b.png", "cat/" + "z" * 98 + ".png"]
    for kind in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "photos.tar", "w", format=kind) as tar:
            for name in names:
                (tmp_path / "one.png").write_bytes(encoded(pixels(name), "PNG"))
                tar.add(tmp_path / "one.png", name)
        pictures = search([tmp_path / "photos.tar"]).pictures
        assert pictures.names == [b"photos/" + os.fsencode(name) for name in names]
        files = FileList.of(pictures, range(3), [0, 1, 2], b"photos/")
        assert [label for _, label in seen(files, str)] == [0, 1, 2]
