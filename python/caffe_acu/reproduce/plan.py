"""What a table or a figure of a paper needs: which networks, how often, and from which other training each starts."""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.nets.model import APPLY, Model
from caffe_acu.reproduce.figures import PaperFigure, find_figure, paper_figures
from caffe_acu.reproduce.tables import PaperTable, find_table, model_of


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
    """A table or a figure, and every training that it needs; one that others start from comes before them.

    Attributes:
        table: that is made, or to which the networks of the figure belong.
        seeds: how many trainings of each network were asked for; None: as many as the paper averaged.
        figure: that is made; None: the table is.
    """

    table: PaperTable
    trainings: tuple[Training, ...]
    seeds: int | None = None
    figure: PaperFigure | None = None

    @property
    def id(self) -> str:
        return (self.figure or self.table).id

    @property
    def title(self) -> str:
        return (self.figure or self.table).title

    @cached_property
    def models(self) -> tuple[Model, ...]:
        """Each once, in the order of the trainings."""
        return tuple({training.model.folder: training.model for training in self.trainings}.values())


def plan(paper: str, name: str, seeds: int | None = None) -> Plan:
    """The trainings of "table2" or "figure4"; ``seeds``: as many of each network, in place of as many as the paper
    averaged (one, for a figure of single runs).

    UserError for a table or a figure that is none.
    """
    number = re.fullmatch(r"figure(\d+)", name)
    figure = find_figure(paper, int(number[1])) if number else None
    try:
        table = find_table(paper, figure.table if figure else name)
    except UserError as error:
        figures = ", ".join(one.id for one in paper_figures() if one.paper == paper)
        raise UserError(f"{error}, {figures}" if figures else str(error)) from None
    trainings: dict[tuple[str, int], Training] = {}

    def add(folder: str, seed: int) -> Training:
        if (folder, seed) not in trainings:
            model = model_of(folder)
            start = None
            if model.start is not None:
                # The runs of ACU-Fixed all have the positions of one training (grouped paper, section 4.2).
                start = add(model.start.trained, 1 if model.start.conversion == APPLY else seed)
            trainings[folder, seed] = Training(model, seed, start)
        return trainings[folder, seed]

    for row in table.rows:
        for folder in filter(None, (row.reference, row.printed.model)):
            if figure is None or folder in figure.models:
                runs = row.runs if figure is None or figure.of_results else 1
                for seed in range(1, (seeds or runs) + 1):
                    add(folder, seed)
    return Plan(table, tuple(trainings.values()), seeds, figure)
