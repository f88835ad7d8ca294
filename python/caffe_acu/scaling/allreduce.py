"""How long an all-reduce takes, on paper: latency for each message, and bytes over the rate of the link.

The sums themselves, which take place while messages are on their way, cost nothing here, and no link is shared with
other traffic or slowed by the switches.
"""

from collections.abc import Callable
from dataclasses import dataclass

from caffe_acu.errors import UserError


@dataclass(frozen=True)
class Link:
    """Between two machines, or two workers of one. ``share``: of the rate, what messages get."""

    gigabits: float  # a second, in each direction
    microseconds: float  # from the start of an empty message to its end
    share: float = 1.0

    def __post_init__(self) -> None:
        if not (self.gigabits > 0 and self.microseconds >= 0 and 0 < self.share <= 1):
            raise UserError(
                f"a link of {self.gigabits:g} Gb/s with {self.microseconds:g} us, of which {self.share:g} is had: the "
                "rate must be positive, the latency not negative, and the share above 0 and at most 1"
            )

    @property
    def latency(self) -> float:
        """Seconds."""
        return self.microseconds * 1e-6

    def seconds(self, size: float) -> float:
        """That many bytes take, without the latency."""
        return size * 8 / (self.gigabits * 1e9 * self.share)


def ring(workers: int, size: float, link: Link) -> float:
    """Seconds: 2 (N-1) messages one after the other, each of the N-th part."""
    messages = 2 * (workers - 1)
    return messages * (link.latency + link.seconds(size) / workers)


def recursive_doubling(workers: int, size: float, link: Link) -> float:
    """Seconds: log2 N messages, each of everything."""
    rounds, folded = _rounds(workers)
    return (rounds + folded) * (link.latency + link.seconds(size))


def halving_doubling(workers: int, size: float, link: Link) -> float:
    """Seconds: as many bytes as the ring sends, in 2 log2 N messages."""
    rounds, folded = _rounds(workers)
    sent = 2 * (1 - 2**-rounds)
    return 2 * rounds * link.latency + sent * link.seconds(size) + folded * (link.latency + link.seconds(size))


def fastest(workers: int, size: float, link: Link) -> float:
    """Seconds of the fastest of the three, as libraries choose by size and number."""
    return min(way(workers, size, link) for way in (ring, recursive_doubling, halving_doubling))


def _rounds(workers: int) -> tuple[int, int]:
    """Of the largest power of two, and messages of everything besides: workers beyond it hand their gradients to
    another one, and get the sum back."""
    rounds = workers.bit_length() - 1
    return rounds, 0 if workers == 2**rounds else 2


AllReduce = Callable[[int, float, Link], float]
ALGORITHMS: dict[str, AllReduce] = {
    "ring": ring,
    "doubling": recursive_doubling,
    "halving": halving_doubling,
    "fastest": fastest,
}
MEANINGS = {
    "ring": "2 (N-1) messages of the N-th part each",
    "doubling": "log2 N messages of everything, for small gradients",
    "halving": "recursive halving and doubling, the ring's bytes in 2 log2 N messages",
    "fastest": "of these three, the fastest for each message",
}


@dataclass(frozen=True)
class Cluster:
    """Machines that are alike, each with as many workers.

    With several workers a machine, they add up inside it first, so that each has its part of the sum (ring); the parts
    go between machines all at once, over the one link of the machine; then they are spread inside.
    """

    nodes: int
    link: Link
    workers_per_node: int = 1
    inside: Link | None = None  # between the workers of a machine
    algorithm: str = "ring"  # between machines, a key of ALGORITHMS

    def __post_init__(self) -> None:
        if self.nodes < 1 or self.workers_per_node < 1:
            raise UserError(f"{self.nodes} nodes with {self.workers_per_node} workers each: it takes 1 or more of both")
        if self.workers_per_node > 1 and self.inside is None:
            raise UserError(f"{self.workers_per_node} workers a node: give --inside, the link between them")

    @property
    def workers(self) -> int:
        return self.nodes * self.workers_per_node

    def all_reduce(self, size: float) -> float:
        """Seconds for so many bytes; 0 for a single worker."""
        inside = ring(self.workers_per_node, size, self.inside) if self.inside else 0.0
        return inside + (ALGORITHMS[self.algorithm](self.nodes, size, self.link) if self.nodes > 1 else 0.0)
