"""One network of ``models/``: what it is, how it is built, what it learns from, and what the papers print of it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.counts.conventions import PAPERS, Convention
from caffe_acu.counts.network import NetworkCount, count_network
from caffe_acu.nets.builder import DataSource
from caffe_acu.nets.datasets import DataSet
from caffe_acu.nets.schedules import Schedule
from caffe_acu.papers.printed import Printed, printed_results


class Build(Protocol):
    """A generator of this package whose other arguments are settled."""

    def __call__(self, *, source: DataSource | None, classes: int) -> "caffe_pb2.NetParameter": ...


ROUND = "round"  # its weights, with rounded positions
APPLY = "apply"  # random weights, with its positions


@dataclass(frozen=True)
class Start:
    """What a training begins with, if not with random weights."""

    text: str
    trained: str  # the network, below ``models/``, that has to be trained before
    conversion: str  # what ``caffe-acu positions`` makes of it, for this training to start from: ROUND or APPLY


@dataclass(frozen=True)
class Model:
    """A network with its training.

    Attributes:
        folder: below ``models/``: ``<paper>/<network>``.
        title: one line, for people.
        build: the network that trains and tests on a source; without one, the network to deploy.
        text: what it is, in a sentence or two.
        assumed: what the paper does not tell of the network; the data set and the schedule have their own.
        start: how its training begins; None: with random weights.
    """

    folder: str
    title: str
    build: Build
    data: DataSet
    schedule: Schedule
    text: str
    assumed: tuple[str, ...] = ()
    start: Start | None = None

    @property
    def paper(self) -> str:
        return self.folder.partition("/")[0]

    @property
    def name(self) -> str:
        return self.folder.partition("/")[2]

    def train_val(self) -> "caffe_pb2.NetParameter":
        return self._built(self.data.source)

    def deploy(self) -> "caffe_pb2.NetParameter":
        return self._built(None)

    def _built(self, source: DataSource | None) -> "caffe_pb2.NetParameter":
        net = self.build(source=source, classes=self.data.classes)
        net.name = self.name
        return net

    @cached_property
    def count(self) -> NetworkCount:
        """Parameters and multiply-adds, by the convention of the papers' tables."""
        return self.counted_by(PAPERS)

    def counted_by(self, convention: Convention) -> NetworkCount:
        return count_network(self.deploy(), convention=convention)

    @cached_property
    def printed(self) -> tuple[Printed, ...]:
        """What the papers and the poster print of it."""
        return tuple(row for row in printed_results() if row.model == self.folder)
