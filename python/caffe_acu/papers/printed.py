"""Every result that the papers and the poster print, and the network in ``models/`` that it belongs to.

``printed.csv`` has a line for each number: paper, table, row, data set, metric, value, standard deviation and number
of runs where they are given, parameters and multiply-adds as they are printed, the convention by which they count, the
network, and a remark.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from caffe_acu.counts.conventions import CONVENTIONS, Convention

TITLES = {
    "cvpr2017": "Active Convolution: Learning the Shape of Convolution for Image Classification (CVPR 2017)",
    "poster": "Poster of Active Convolution (CVPR 2017)",
    "grouped": "Integrating Multiple Receptive Fields through Grouped Active Convolution",
}


@dataclass(frozen=True)
class Printed:
    """A printed result. ``value`` and ``std`` are in percent, or points of it; None: not printed."""

    paper: str  # a key of TITLES
    table: str
    row: str
    dataset: str
    metric: str
    value: float
    std: float | None
    runs: int | None
    params: str  # as printed, for instance "1.24M"; "" if not
    madds: str
    convention: str  # by which these count, a name of caffe_acu.counts.conventions
    model: str  # folder below models/
    note: str

    @property
    def counted_by(self) -> Convention:
        return CONVENTIONS[self.convention]

    def as_printed(self, count: int, printed: str) -> str:
        """A count with the digits and the unit of a printed one, such as ``params``."""
        digits, unit = printed[:-1], printed[-1:]
        return self.counted_by.abbreviate(count, len(digits.partition(".")[2]), "G" if unit == "G" else "M")

    @property
    def table_id(self) -> tuple[str, str]:
        """Folder of its results, and their name in it: ("cvpr2017", "table2"), ("grouped", "section433")."""
        if self.paper == "poster":
            return "cvpr2017", "poster_ablation"
        return self.paper, f"table{self.table}" if self.table.isdigit() else self.table.replace(" ", "").replace(
            ".", ""
        )

    @property
    def is_difference(self) -> bool:
        """Whether it is a distance, in points, from the result of another network."""
        return self.metric.startswith(("improvement", "change"))

    @property
    def place(self) -> str:
        """Where it stands: "Table 2", "Section 4.3.3", "Poster"."""
        if self.paper == "poster":
            return "Poster"
        return f"Table {self.table}" if self.table.isdigit() else self.table.capitalize()

    @property
    def result(self) -> str:
        """The value as the tables of the papers show it, with its metric."""
        if self.is_difference:
            value = f"{self.value:+.2f}" if self.value else "-"  # what the others are compared with
        else:
            value = str(self.value)
        deviation = f" ± {self.std}" if self.std is not None else ""
        return f"{value}{deviation} ({self.metric})"


@cache
def printed_results() -> tuple[Printed, ...]:
    """All of them, in the order of the papers."""
    with open(Path(__file__).with_name("printed.csv"), newline="", encoding="utf-8") as file:
        return tuple(_read(line) for line in csv.DictReader(file))


def _read(line: dict[str, str]) -> Printed:
    numbers = {
        "value": float(line["value"]),
        "std": float(line["std"]) if line["std"] else None,
        "runs": int(line["runs"]) if line["runs"] else None,
    }
    return Printed(**{**line, **numbers})
