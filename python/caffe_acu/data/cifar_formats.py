"""CIFAR-10 and CIFAR-100 as their authors publish them: file names, records, labels, archives.

Everything stands at https://www.cs.toronto.edu/~kriz/cifar.html. Light to import, so that ``--help`` is quick.
"""

from collections.abc import Mapping
from dataclasses import dataclass

PAGE = "https://www.cs.toronto.edu/~kriz/cifar.html"
_ARCHIVES_URL = "https://www.cs.toronto.edu/~kriz/"

# Official orders of labels, which are also the alphabetical ones.
CIFAR10_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
CIFAR100_FINE_CLASSES = tuple(
    """
    apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
    caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
    flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
    motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate
    poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider
    squirrel streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
    wardrobe whale willow_tree wolf woman worm
    """.split()
)
CIFAR100_COARSE_CLASSES = tuple(
    """
    aquatic_mammals fish flowers food_containers fruit_and_vegetables household_electrical_devices household_furniture
    insects large_carnivores large_man-made_outdoor_things large_natural_outdoor_scenes large_omnivores_and_herbivores
    medium_mammals non-insect_invertebrates people reptiles small_mammals trees vehicles_1 vehicles_2
    """.split()
)


@dataclass(frozen=True)
class OfficialArchive:
    """An archive that can be downloaded, and the MD5 that its authors state for it."""

    name: str
    md5: str

    @property
    def url(self) -> str:
        return _ARCHIVES_URL + self.name


@dataclass(frozen=True)
class Labelling:
    """One label of every record: where it and the names of its classes stand, and what they are."""

    title: str  # for messages
    key: bytes  # of the labels in a Python batch
    names_key: bytes  # of the names in the Python form's ``meta``
    names_file: str  # of the binary form, a name a line
    classes: tuple[str, ...]  # for a source that has no file of names


@dataclass(frozen=True)
class CifarFormat:
    """The files of one data set. The binary form's are called like the Python form's, with '.bin'."""

    title: str
    command: str  # `caffe-acu data <command>`, and the folder below data/ with its README
    train: Mapping[str, int]  # file -> number of records, in the official order
    test: Mapping[str, int]
    meta: str  # the file of names in the Python form
    labellings: Mapping[str, Labelling]  # by the name that --labels takes; binary records have them in this order
    archives: Mapping[str, OfficialArchive]  # by the name that --form takes

    @property
    def records(self) -> dict[str, int]:
        """All batch files -> their number of records, those for training first."""
        return {**self.train, **self.test}


CIFAR10 = CifarFormat(
    title="CIFAR-10",
    command="cifar10",
    train={f"data_batch_{number}": 10_000 for number in range(1, 6)},
    test={"test_batch": 10_000},
    meta="batches.meta",
    labellings={"fine": Labelling("label", b"labels", b"label_names", "batches.meta.txt", CIFAR10_CLASSES)},
    archives={
        "python": OfficialArchive("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
        "binary": OfficialArchive("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"),
    },
)
CIFAR100 = CifarFormat(
    title="CIFAR-100",
    command="cifar100",
    train={"train": 50_000},
    test={"test": 10_000},
    meta="meta",
    labellings={
        "coarse": Labelling(
            "coarse label", b"coarse_labels", b"coarse_label_names", "coarse_label_names.txt", CIFAR100_COARSE_CLASSES
        ),
        "fine": Labelling(
            "fine label", b"fine_labels", b"fine_label_names", "fine_label_names.txt", CIFAR100_FINE_CLASSES
        ),
    },
    archives={
        "python": OfficialArchive("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
        "binary": OfficialArchive("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"),
    },
)
FORMATS: Mapping[str, CifarFormat] = {format_.command: format_ for format_ in (CIFAR10, CIFAR100)}
