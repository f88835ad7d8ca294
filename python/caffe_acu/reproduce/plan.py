"""What a table of a paper needs: which networks, how often, and from which other training each one starts."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.nets.model import Model, Start
from caffe_acu.nets.zoo import all_models
from caffe_acu.papers.printed import Printed, printed_results

# The poster is one of the CVPR paper's, and so are its networks.
_PAPERS = {"cvpr2017": ("cvpr2017", "poster"), "grouped": ("grouped",)}
# Trainings averaged where the paper does not print their number (grouped paper, sections 4 and 5).
_RUNS = {"CIFAR-10": 5, "ImageNet": 3}
# The conversion of ACU-Fixed, whose runs all have the positions of one training (grouped paper, section 4.2).
TAKE_POSITIONS = "take-positions"


@dataclass(frozen=True)
class Training:
    """One training of a network. ``seed`` counts from 1; ``start`` is the training that it starts from."""

    model: Model
    seed: int
    start: "Training | None" = None

    @property
    def folder(self) -> Path:
        """Below the results: ``<paper>/runs/<network>/seed<k>``."""
        return Path(self.model.paper) / "runs" / self.model.name / f"seed{self.seed}"


@dataclass(frozen=True)
class Plan:
    """A table, and every training that it needs; one that others start from comes before them."""

    paper: str
    table: str  # as a command and a file call it: "table2", "poster_ablation", "section433"
    rows: tuple[Printed, ...]
    trainings: tuple[Training, ...]

    @property
    def title(self) -> str:
        return f"{self.paper}, {self.rows[0].place}"

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Each once, in the order of the trainings."""
        return tuple({training.model.folder: training.model for training in self.trainings}.values())


def conversion(start: Start) -> str:
    """That of ``caffe-acu convert``, without its options: "round-positions" or TAKE_POSITIONS."""
    return start.conversion.split()[0]


def tables(paper: str) -> dict[str, tuple[Printed, ...]]:
    """The rows of every table of a paper, by the table's name; UserError for a paper that is none."""
    if paper not in _PAPERS:
        raise UserError(f"{paper}: no such paper; there are {', '.join(_PAPERS)}")
    found: dict[str, list[Printed]] = {}
    for row in printed_results():
        if row.paper in _PAPERS[paper]:
            found.setdefault(_name(row), []).append(row)
    return {name: tuple(rows) for name, rows in found.items()}


def _name(row: Printed) -> str:
    if row.paper == "poster":
        return f"poster_{row.table}"
    return f"table{row.table}" if row.table.isdigit() else row.table.replace(" ", "").replace(".", "")


def plan(paper: str, table: str, seeds: int | None = None) -> Plan:
    """The trainings of a table; ``seeds``: as many of each network, in place of as many as the paper averaged.

    UserError for a table that is none.
    """
    rows = tables(paper).get(table)
    if rows is None:
        raise UserError(f"{paper} {table}: no such table; there are {', '.join(tables(paper))}")
    models = {model.folder: model for model in all_models()}
    trainings: dict[tuple[str, int], Training] = {}

    def add(folder: str, seed: int) -> Training:
        if (folder, seed) not in trainings:
            model = models[folder]
            start = None
            if model.start is not None:
                start = add(model.start.trained, 1 if conversion(model.start) == TAKE_POSITIONS else seed)
            trainings[folder, seed] = Training(model, seed, start)
        return trainings[folder, seed]

    for row in rows:
        for folder in _measured(row, models):
            for seed in range(1, (seeds or _averaged(row)) + 1):
                add(folder, seed)
    return Plan(paper, table, rows, tuple(trainings.values()))


def _measured(row: Printed, models: dict[str, Model]) -> Iterator[str]:
    """The networks whose errors make the row's number."""
    start = models[row.model].start
    if row.metric.startswith("change") and start is not None:  # compared with the network that it started from
        yield start.trained
    yield row.model


def _averaged(row: Printed) -> int:
    if row.runs is not None:
        return row.runs
    return _RUNS[row.dataset] if row.paper == "grouped" else 1
