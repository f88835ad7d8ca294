"""The tables of both papers: their rows, what each number is, and what is compared with what.

Rows are those of :mod:`caffe_acu.papers.printed`; here stands what the printed numbers do not tell.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.errors import UserError
from caffe_acu.nets.model import Model
from caffe_acu.nets.zoo import all_models
from caffe_acu.papers.printed import Printed, printed_results

_TITLES = {
    ("cvpr2017", "table2"): "plain network on CIFAR-10 and CIFAR-100",
    ("cvpr2017", "table3"): "residual networks on CIFAR-10 and CIFAR-100",
    ("cvpr2017", "table4"): "AlexNet and ResNet26 on Places365",
    ("cvpr2017", "poster_ablation"): "what the plain network gains by active convolution",
    ("grouped", "table1"): "convolutions and active convolutions in a 29-layer network",
    ("grouped", "table2"): "dilated, learned and fixed shapes",
    ("grouped", "table3"): "groupings of a 29-layer network",
    ("grouped", "table4"): "with and without warm-up",
    ("grouped", "table5"): "one position set and many in a depthwise network",
    ("grouped", "table6"): "Inception on ImageNet",
    ("grouped", "table7"): "Xception on ImageNet",
    ("grouped", "table8"): "MobileNet v2 on ImageNet",
    ("grouped", "table9"): "the best networks on CIFAR-10",
    ("grouped", "section433"): "learned shapes, frozen, in a network trained from scratch",
}
_PAPERS = {"cvpr2017": "CVPR 2017", "poster": "Poster", "grouped": "Grouped paper"}

# Rows that are compared, the base first.
_PAIRS: dict[tuple[str, str], list[tuple[str, str]]] = {
    ("cvpr2017", "table2"): [("plain, baseline", "plain, ACU")],
    ("cvpr2017", "table3"): [
        ("basic residual 32, baseline", "basic residual 32, ACU"),
        ("bottleneck residual 47, baseline", "bottleneck residual 47, ACU"),
    ],
    ("cvpr2017", "table4"): [("AlexNet, baseline", "AlexNet, ACU"), ("ResNet26, baseline", "ResNet26, ACU")],
    ("cvpr2017", "poster_ablation"): [
        ("Base", row) for row in ("Base-D2", "ACU-Round", "ACU-C23", "ACU-all", "Base-F5", "ACU-F5")
    ],
    ("grouped", "table1"): [("3x3 Conv", "3x3 ACU"), ("7x7 Conv", "3x3 ACU")],
    ("grouped", "table2"): [("Base", row) for row in ("Base-D2", "ACU", "ACU-Fixed")],
    ("grouped", "table3"): [
        (f"{grouping}, {convolution}", f"{grouping}, ACU")
        for grouping in ("16x4d", "x4d", "x2d", "x1d")
        for convolution in ("Conv3x3", "Conv5x5")
    ],
    ("grouped", "table4"): [(f"{net}/ACU, no warm-up", f"{net}/ACU, warm-up") for net in ("ResNet", "x1d")],
    ("grouped", "table5"): [("x1d", "x1d/ACU/Share"), ("x1d", "x1d/ACU/Multi")],
    ("grouped", "table6"): [("Inception + BN", "Inception blocks replaced by 1x1 conv + depthwise ACU")],
    ("grouped", "table7"): [("Xception, depthwise conv", "Xception, depthwise ACU")],
    ("grouped", "table8"): [
        (f"MobileNet v2 x{width}, depthwise conv", f"MobileNet v2 x{width}, depthwise ACU")
        for width in ("0.8", "1.0", "1.2", "1.4")
    ],
    ("grouped", "table9"): [("ResNeXt-29, 8x64d", f"Depthwise ACU-{layers}, x1d") for layers in (29, 47)],
    ("grouped", "section433"): [
        ("x1d/ACU/Multi", "x1d/ACU retrained from scratch with frozen trained shapes"),
    ],
}
# What a number that is a difference is measured from, by its metric.
_MEASURED_FROM = {
    "improvement over Base, points": "cvpr2017/plain",
    "change in accuracy, points": "grouped/resnet29_x1d_acu",
}


@cache
def model_of(folder: str) -> Model:
    """The network in that folder below ``models/``; KeyError if there is none."""
    return {model.folder: model for model in all_models()}[folder]


@dataclass(frozen=True)
class Row:
    """A printed number, and what of our runs stands beside it."""

    printed: Printed

    @property
    def name(self) -> str:
        return self.printed.row

    @property
    def model(self) -> Model:
        return model_of(self.printed.model)

    @property
    def reference(self) -> str | None:
        """The network from whose error the number is measured; None: it is an error or an accuracy itself."""
        return _MEASURED_FROM[self.printed.metric] if self.printed.is_difference else None

    @property
    def top(self) -> int:
        """Among how many of the highest scores the right class has to be."""
        return 5 if self.printed.metric.startswith("top-5") else 1

    @property
    def crops(self) -> int:
        """Views of an image that the test averages."""
        return 10 if "10-crop" in self.printed.metric else 1

    @property
    def is_accuracy(self) -> bool:
        return "accuracy %" in self.printed.metric

    @property
    def runs(self) -> int:
        """How many the paper averaged; one where the CVPR paper tells nothing, five, as elsewhere, in the other."""
        return self.printed.runs or (5 if self.printed.paper == "grouped" else 1)

    def value(self, error: float) -> float:
        """A percentage as the row has it, of an error in percent."""
        return 100 - error if self.is_accuracy else error

    @cached_property
    def kind(self) -> str:
        """ "acu" if the network has active layers, else "base"."""
        return "acu" if any(layer.type in ACTIVE_TYPES for layer in self.model.deploy().layer) else "base"


@dataclass(frozen=True)
class Comparison:
    """Two rows of one data set and one metric (or an error, and a difference from it)."""

    base: Row
    acu: Row

    @property
    def paper_gain(self) -> float:
        """In points, positive if the second is better; rounded as the paper rounds what it is computed from."""
        base, acu = self.base.printed.value, self.acu.printed.value
        if self.acu.reference:
            return acu
        return round(acu - base if self.acu.is_accuracy else base - acu, 2)


@dataclass(frozen=True)
class PaperTable:
    """A table of a paper, ``<paper>/<id>``; its rows in the paper's order."""

    paper: str
    id: str
    title: str
    rows: tuple[Row, ...]

    @property
    def models(self) -> list[Model]:
        """Its networks, those that it only measures from included, each once."""
        folders = [row.printed.model for row in self.rows] + [row.reference for row in self.rows if row.reference]
        return [model_of(folder) for folder in dict.fromkeys(folders)]

    @property
    def comparisons(self) -> list[Comparison]:
        return [
            Comparison(base, acu)
            for base_name, acu_name in _PAIRS[self.paper, self.id]
            for base in self.rows
            for acu in self.rows
            if (base.name, acu.name) == (base_name, acu_name) and _comparable(base.printed, acu.printed)
        ]

    def label(self, row: Row) -> str:
        """Its name, with the data set where the table has several."""
        several = len({one.printed.dataset for one in self.rows}) > 1
        return f"{row.name}, {row.printed.dataset}" if several else row.name


def _comparable(base: Printed, acu: Printed) -> bool:
    return base.dataset == acu.dataset and (base.metric == acu.metric or acu.is_difference)


@cache
def paper_tables() -> tuple[PaperTable, ...]:
    """All of them, in the order of the papers."""
    return tuple(_tables())


def _tables() -> Iterator[PaperTable]:
    for (paper, name), group in groupby(printed_results(), key=lambda printed: printed.table_id):
        printed = list(group)
        if name == "section433":
            printed.insert(0, _measured_from_in_table5())
        title = f"{_PAPERS[printed[-1].paper]}"
        if printed[-1].place != title:
            title += f", {printed[-1].place}"
        yield PaperTable(paper, name, f"{title}: {_TITLES[paper, name]}", tuple(map(Row, printed)))


def _measured_from_in_table5() -> Printed:
    """The section prints a difference only; with the row that it is measured from, both errors can be read."""
    rows = [row for row in printed_results() if row.table_id == ("grouped", "table5")]
    return next(row for row in rows if row.model == _MEASURED_FROM["change in accuracy, points"])


def find_table(paper: str, name: str) -> PaperTable:
    """The table of that paper and id; UserError, which lists those there are, if there is none."""
    found = {(table.paper, table.id): table for table in paper_tables()}
    if (paper, name) not in found:
        there = ", ".join(table.id for table in paper_tables() if table.paper == paper)
        if not there:
            raise UserError(f"{paper}: no such paper; there are cvpr2017, grouped")
        raise UserError(f"{paper} {name}: no such table; there are {there}")
    return found[paper, name]
