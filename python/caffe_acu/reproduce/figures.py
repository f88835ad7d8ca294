"""The figures of both papers that come from training: which networks each needs.

How they are drawn is :mod:`caffe_acu.reproduce.draw_figure`'s.
"""

from dataclasses import dataclass

from caffe_acu.errors import UserError

# Input channels of a group in Table 3 of the grouped paper; in each of the stages, where they differ.
CHANNELS_PER_GROUP = {"16x4d": "4, 8, 16", "x4d": "4", "x2d": "2", "x1d": "1"}
_PAPERS = {"cvpr2017": "CVPR 2017", "grouped": "Grouped paper"}
_WIDTHS = ("0.8", "1.0", "1.2", "1.4")


@dataclass(frozen=True)
class PaperFigure:
    """A figure, and the trainings of a table that it needs.

    Attributes:
        table: to which its networks belong.
        networks: without the paper's folder; a base stands before what it is compared with.
        of_results: it shows the final accuracies of as many runs as the paper averaged, not a single run.
    """

    paper: str
    number: int
    shows: str
    table: str
    networks: tuple[str, ...]
    of_results: bool = False

    @property
    def id(self) -> str:
        return f"figure{self.number}"

    @property
    def title(self) -> str:
        return f"{_PAPERS[self.paper]}, Figure {self.number}: {self.shows}"

    @property
    def models(self) -> tuple[str, ...]:
        """Folders below models/."""
        return tuple(f"{self.paper}/{network}" for network in self.networks)


_FIGURES = (
    PaperFigure("cvpr2017", 4, "training curves of the plain network, CIFAR-10", "table2", ("plain", "plain_acu")),
    PaperFigure("cvpr2017", 5, "learned positions of the plain network, CIFAR-10", "table2", ("plain_acu",)),
    PaperFigure("cvpr2017", 6, "movement of positions, first and last ACU", "table2", ("plain_acu",)),
    PaperFigure(
        "cvpr2017",
        8,
        "training curves of the bottleneck residual network, CIFAR-10",
        "table3",
        ("bottleneck_residual47", "bottleneck_residual47_acu"),
    ),
    PaperFigure(
        "cvpr2017",
        9,
        "learned positions of the bottleneck residual network, a row for each width",
        "table3",
        ("bottleneck_residual47_acu",),
    ),
    PaperFigure("cvpr2017", 10, "training curves of AlexNet, Places365", "table4", ("alexnet", "alexnet_acu")),
    PaperFigure(
        "cvpr2017",
        12,
        "learned positions on Places365, AlexNet and residual network",
        "table4",
        ("alexnet_acu", "resnet26_acu"),
    ),
    PaperFigure("grouped", 4, "learned positions of the 29-layer network", "table1", ("resnet29_acu",)),
    PaperFigure(
        "grouped",
        7,
        "accuracy by cardinality, CIFAR-10",
        "table3",
        tuple(f"resnet29_{grouping}{kind}" for grouping in CHANNELS_PER_GROUP for kind in ("", "_5x5", "_acu")),
        of_results=True,
    ),
    PaperFigure("grouped", 8, "position sets in the last block of x1d", "table3", ("resnet29_x1d_acu",)),
    PaperFigure("grouped", 9, "positions in place of Inception modules, five sets each", "table6", ("inception_acu",)),
    PaperFigure("grouped", 10, "synapses in the residual blocks of Xception", "table7", ("xception_acu",)),
    PaperFigure(
        "grouped",
        11,
        "accuracy by parameters, MobileNet v2, ImageNet",
        "table8",
        tuple(f"mobilenet_v2_x{width}{kind}" for width in _WIDTHS for kind in ("", "_acu")),
        of_results=True,
    ),
    PaperFigure("grouped", 12, "filters in the last block of x1d", "table3", ("resnet29_x1d", "resnet29_x1d_acu")),
)


def paper_figures() -> tuple[PaperFigure, ...]:
    """All of them, in the order of the papers."""
    return _FIGURES


def find_figure(paper: str, number: int) -> PaperFigure:
    """The figure of that paper; UserError, which lists those there are, if none of that number comes from training."""
    found = {figure.number: figure for figure in _FIGURES if figure.paper == paper}
    if not found:
        raise UserError(f"{paper}: no such paper; there are {', '.join(_PAPERS)}")
    if number not in found:
        raise UserError(f"{paper}: no Figure {number} comes from training; there are {', '.join(map(str, found))}")
    return found[number]
