"""Every layout of ImageNet gives the same files, labels and order; what is none is refused in words that help."""

import csv
import shutil
from pathlib import Path

import pytest

import picture_sources
from caffe_acu.cli.main import main
from caffe_acu.data.pictures.imagenet import plan_imagenet
from caffe_acu.data.pictures.plan import Plan
from caffe_acu.errors import UserError
from picture_sources import SYNSETS, tar_of, write
from pictures_seen import read_pictures, seen

PER_CLASS, VAL = 2, 8
# What the records must be, from nothing but the names in picture_sources.
TRAIN = [(f"{synset}/{synset}_{i}.JPEG", label) for label, synset in enumerate(SYNSETS) for i in range(PER_CLASS)]
VALIDATION = [
    (f"{name}.JPEG", SYNSETS.index(synset)) for name, synset in sorted(picture_sources.val_names(VAL).items())
]


def plan(*sources: Path, **options) -> Plan:
    return plan_imagenet(sources, **{"allow_short": True} | options)


def assert_official(found: Plan, words: bool = False) -> None:
    assert seen(found.train) == TRAIN
    assert sorted((name.rpartition("/")[2], label) for name, label in seen(found.test)) == VALIDATION
    assert found.classes == tuple(f"{synset} words of {synset}" if words else synset for synset in SYNSETS)
    assert (found.test_name, found.left_out) == ("val", ())


@pytest.fixture
def train(tmp_path) -> Path:
    picture_sources.imagenet_train(tmp_path / "source" / "train", PER_CLASS)
    return tmp_path / "source"


@pytest.fixture
def source(train) -> Path:
    """Training folders, flat validation images, and nothing that labels them."""
    picture_sources.imagenet_val(train / "val", VAL)
    return train


def val_by_synset(folder: Path, root: str = "val") -> None:
    for name, synset in picture_sources.val_names(VAL).items():
        write(folder / root / synset / f"{name}.JPEG", picture_sources.picture(name))


@pytest.mark.parametrize("own_folder", (False, True), ids=("flat", "in a folder of its own name"))
def test_training_images_in_a_folder_of_tars(tmp_path, own_folder):
    val_by_synset(tmp_path / "source")
    for synset in SYNSETS:
        files = picture_sources.synset_files(PER_CLASS, synset)
        inside = {f"{synset}/{name}" if own_folder else f"./{name}": contents for name, contents in files.items()}
        tar_of(tmp_path / "source" / "train" / f"{synset}.tar", inside.items())
    assert_official(plan(tmp_path / "source"))


def test_the_official_tars_and_the_development_kit(tmp_path):
    picture_sources.imagenet_train_tar(tmp_path / "ILSVRC2012_img_train.tar", PER_CLASS)
    tar_of(tmp_path / "ILSVRC2012_img_val.tar", picture_sources.val_files(VAL).items())
    picture_sources.devkit_archive(tmp_path / "ILSVRC2012_devkit_t12.tar.gz", VAL)
    assert_official(plan(tmp_path), words=True)
    assert_official(plan(*sorted(tmp_path.iterdir())), words=True)


def test_validation_images_in_a_folder_per_synset(train):
    val_by_synset(train)
    assert_official(plan(train))


def test_the_unpacked_development_kit(source):
    picture_sources.devkit(source, VAL)
    assert_official(plan(source), words=True)


def by_number(name: str, synset: str) -> str:
    return f"{name}.JPEG {SYNSETS.index(synset)}\n"


def by_synset(name: str, synset: str) -> str:
    return f"val/{name}.JPEG {synset}\n"


def listing(path: Path, line=by_synset, names=None) -> Path:
    names = picture_sources.val_names(VAL) if names is None else names
    path.write_text("".join(line(name, synset) for name, synset in names.items()))
    return path


def test_caffes_val_txt(source):
    listing(source / "val.txt", by_number)
    assert_official(plan(source))


@pytest.mark.parametrize("line", (by_number, by_synset))
def test_a_listing_by_option_is_trusted_most(source, tmp_path, line):
    wrong = dict.fromkeys(picture_sources.val_names(VAL), SYNSETS[0])
    listing(source / "val.txt", names=wrong)
    assert_official(plan(source, val_labels=listing(tmp_path / "mine.txt", line)))


def test_the_message_names_the_listing_that_was_used(source):
    (source / "LOC_val_solution.csv").write_text(picture_sources.kaggle_labels(VAL))
    listing(source / "val.txt")
    found = plan(source)
    assert_official(found)
    assert "labelled by LOC_val_solution.csv" in found.form


def test_kaggles_tree(tmp_path):
    images = tmp_path / "ILSVRC" / "Data" / "CLS-LOC"
    picture_sources.imagenet_train(images / "train", PER_CLASS)
    picture_sources.imagenet_val(images / "val", VAL)
    write(images / "test" / "ILSVRC2012_test_00000001.JPEG", picture_sources.picture("test"))
    annotations = tmp_path / "ILSVRC" / "Annotations" / "CLS-LOC"
    write(annotations / "train" / SYNSETS[0] / f"{SYNSETS[0]}_0.xml", b"<annotation/>")
    write(annotations / "val" / "ILSVRC2012_val_00000001.xml", b"<annotation/>")
    # Numbers images, not synsets, and would label them all wrongly.
    write(tmp_path / "ILSVRC" / "ImageSets" / "CLS-LOC" / "val.txt", b"ILSVRC2012_val_00000001 1\n")
    (tmp_path / "LOC_val_solution.csv").write_text(picture_sources.kaggle_labels(VAL))
    (tmp_path / "LOC_synset_mapping.txt").write_text("".join(f"{synset} words of {synset}\n" for synset in SYNSETS))
    found = plan(tmp_path)
    assert_official(found, words=True)
    assert found.ignored == 6  # a test image, two annotations, three texts


def test_several_sources_and_a_source_called_test(source, tmp_path):
    listing(source / "val.txt")
    assert_official(plan(source / "train", source / "val", source / "val.txt"))
    assert_official(plan(source.rename(tmp_path / "test")))


def test_a_hidden_folder_that_was_named_is_searched(tmp_path):
    val_by_synset(tmp_path / ".cache")
    picture_sources.imagenet_train_tar(tmp_path / ".cache" / "ILSVRC2012_img_train.tar", PER_CLASS)
    write(tmp_path / ".cache" / "val" / SYNSETS[0] / "._ILSVRC2012_val_00000001.JPEG", b"of a Macintosh")
    assert_official(plan(tmp_path / ".cache"))


CHOSEN = (SYNSETS[3], SYNSETS[0])


@pytest.mark.parametrize("line", (by_number, by_synset))
def test_a_class_file_chooses_and_orders(source, tmp_path, line):
    listing(source / "val.txt", line)
    classes = tmp_path / "classes.txt"
    classes.write_text(f"{CHOSEN[0]} a daisy, of sorts\n\n{CHOSEN[1]}\n")
    found = plan(source, class_file=classes, allow_short=False)
    wanted = {synset: label for label, synset in enumerate(CHOSEN)}
    assert seen(found.train) == sorted((name, wanted[name[:9]]) for name, _ in TRAIN if name[:9] in wanted)
    assert seen(found.test) == [
        (name, wanted[SYNSETS[label]]) for name, label in VALIDATION if SYNSETS[label] in wanted
    ]
    assert found.classes == (f"{CHOSEN[0]} a daisy, of sorts", CHOSEN[1])


def test_the_command_line(source, tmp_path, capsys):
    listing(tmp_path / "mine.txt", by_number)
    (tmp_path / "classes.txt").write_text("".join(f"{synset} some words\n" for synset in CHOSEN))
    options = {"source": source, "out": tmp_path / "out", "val-labels": tmp_path / "mine.txt", "workers": 1, "size": 32}
    options["classes"] = tmp_path / "classes.txt"
    arguments = [text for name, value in options.items() for text in (f"--{name}", str(value))]
    assert main(["data", "imagenet", *arguments]) == 0
    assert "train: 4 images of 3x32x32, 2 of each of 2 classes" in capsys.readouterr().out
    assert (tmp_path / "out" / "classes.txt").read_text() == (tmp_path / "classes.txt").read_text()
    for split, count in (("train", 4), ("val", 4)):
        records = read_pictures(tmp_path / "out", split)
        assert len(records) == count
        for record in records:
            stem = Path(record.name).stem
            assert record.shows(stem)
            assert record.label == CHOSEN.index(picture_sources.val_names(VAL).get(stem) or stem[:9])


def assert_refused(words: str, *sources: Path, **options) -> None:
    with pytest.raises(UserError, match=words) as caught:
        plan(*sources, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "contents, words",
    (
        ("n01440764\nn00000007 none\n", "class 'n00000007' of --classes has no training images"),
        ("n01440764\nn01440764 again\n", "names n01440764 twice"),
        ("\n", "is empty"),
        (b"\xff\xfe", "cannot be read as a class file"),
    ),
)
def test_a_wrong_class_file(source, tmp_path, contents, words):
    listing(source / "val.txt")
    classes = tmp_path / "classes.txt"
    classes.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    assert_refused(words, source, class_file=classes)


IMAGE = "ILSVRC2012_val_00000001.JPEG"


@pytest.mark.parametrize(
    "name, contents, words",
    (
        ("val.txt", f"\n{IMAGE} 0 1\n", "line 2 .* is not"),
        ("val.txt", f"{IMAGE} 4\n", "line 1 .*label 4 is none of 0 to 3"),
        ("val.txt", f"{IMAGE} tench\n", "line 1 .*tench is neither a number nor a synset"),
        ("val.txt", f"{IMAGE} 0\n\n{IMAGE} 1\n", "line 3 .*had another label further up"),
        ("val.txt", f"{IMAGE} n01440764\n", "val_00000002.JPEG: is not in the labels of .*val.txt"),
        ("val.txt", b"\xff\xfe", "cannot be read as labels"),
        ("LOC_val_solution.csv", f"{IMAGE},n01440764 1 2 3 4\n", "does not begin with ImageId"),
        ("LOC_val_solution.csv", f"ImageId,PredictionString\n{IMAGE[:-5]},\n", "csv: line 2 .*is not"),
        ("LOC_val_solution.csv", f"ImageId,PredictionString\n\n{IMAGE[:-5]},7 1 2 3 4\n", "csv: line 3 .*label 7"),
        ("ILSVRC2012_validation_ground_truth.txt", "1\n", "an order of its own, which meta.mat"),
        ("ILSVRC2012_devkit_t12.tar.gz", b"no archive", "cut short or damaged .*download or pack it again"),
    ),
)
def test_broken_labels(source, name, contents, words):
    (source / name).write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    assert_refused(words, source)


def kit_of(source: Path) -> Path:
    picture_sources.devkit(source, VAL)
    return source / "ILSVRC2012_devkit_t12" / "data"


def test_a_broken_development_kit(source):
    kit = kit_of(source)
    truth, meta = kit / "ILSVRC2012_validation_ground_truth.txt", kit / "meta.mat"
    truth.write_text("5\n" * VAL)  # that of an inner node
    assert_refused("line 1: '5' is no number of a synset", source)
    truth.write_text("1\n" * (VAL - 1))
    assert_refused(f"val_{VAL:08d}.JPEG: is not in the labels", source)
    meta.write_bytes(meta.read_bytes()[:300])
    assert_refused("meta.mat: not the table of synsets", source)
    meta.write_bytes(b"")
    assert_refused("meta.mat: not the table of synsets", source)


def test_a_damaged_kit_archive(source):
    path = picture_sources.devkit_archive(source / "ILSVRC2012_devkit_t12.tar.gz", VAL)
    whole = path.read_bytes()
    for begin in range(40, len(whole) - 8, len(whole) // 20):
        path.write_bytes(whole[:begin] + bytes(8) + whole[begin + 8 :])
        assert_refused("cut short or damaged .*download or pack it again", source)
    tar = tar_of(source / "other.tar", [("readme", b"")])
    tar.rename(path)
    assert_refused("holds no meta.mat", source)


def test_a_synset_without_training_images(source):
    names = picture_sources.val_names(VAL) | {IMAGE[:-5]: "n99999999"}
    listing(source / "val.txt", names=names)
    assert_refused(f"{IMAGE}: is of n99999999, of which there are no training images", source)


def test_what_is_missing_is_named(tmp_path, source):
    assert_refused("holds no training images", source / "val")
    assert_refused("holds no validation images", source / "train")
    assert_refused("nothing says what the validation images show", source)
    assert_refused("nothing: no such file or folder", tmp_path / "nothing")
    write(source / "ILSVRC2012_img_val.tar.gz", b"")
    shutil.rmtree(source / "val")
    assert_refused("holds no validation images; .*ILSVRC2012_img_val.tar.gz is compressed", source)


def test_a_split_that_is_there_twice(source):
    listing(source / "val.txt")
    picture_sources.imagenet_train_tar(source / "ILSVRC2012_img_train.tar", PER_CLASS)
    assert_refused("more than once, in source/ILSVRC2012_img_train/ and source/train/", source)


def test_less_than_the_official_set(source):
    listing(source / "val.txt")
    assert_refused("4 classes, where the official set has 1,000.*--allow-short", source, allow_short=False)


def test_999_of_1000_classes(tmp_path):
    # A class that was lost in unpacking would shift the labels of all after it.
    for number in range(999):
        write(tmp_path / "train" / f"n{number:08d}" / "x.JPEG", b"")
    write(tmp_path / "val" / "n00000000" / "ILSVRC2012_val_00000001.JPEG", b"")
    assert_refused("999 classes, where the official set has 1,000", tmp_path, allow_short=False)
    assert len(plan(tmp_path).classes) == 999


def test_kaggles_labels_are_read_as_a_csv(source):
    with (source / "LOC_val_solution.csv").open("w", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows(line.split(",") for line in picture_sources.kaggle_labels(VAL).splitlines())
    assert_official(plan(source))
