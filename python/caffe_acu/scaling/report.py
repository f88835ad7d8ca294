"""The model's result as text, Markdown and data, with what it assumes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from caffe_acu.counts.conventions import PAPERS
from caffe_acu.scaling.allreduce import MEANINGS, Link
from caffe_acu.scaling.gradient import VALUE_BYTES, Gradient
from caffe_acu.scaling.model import Estimate, Sending, Worker
from caffe_acu.tables import Table, aligned, markdown


@dataclass(frozen=True)
class Scaling:
    """A network, a worker, and estimates: a row for each number of nodes, in it one for each link."""

    gradient: Gradient
    worker: Worker
    sending: Sending
    rows: Sequence[Sequence[Estimate]]

    @property
    def message(self) -> int:
        """Bytes of gradient, of each worker in each iteration."""
        return sum(self.sending.sizes(self.gradient))


def as_data(scaling: Scaling) -> dict[str, Any]:
    """For JSON. Times in seconds; ``uncounted`` lists the layers that the totals lack."""
    gradient = scaling.gradient
    return {
        "name": gradient.name,
        "learned_values": gradient.learned,
        "resting_values": gradient.resting,
        "gradient_bytes": scaling.message,
        "multiply_adds": gradient.multiply_adds,
        "uncounted": [asdict(layer) for layer in gradient.uncounted],
        "worker": asdict(scaling.worker),
        "sending": asdict(scaling.sending),
        "assumptions": assumptions(scaling),
        "estimates": [_estimate_data(estimate, scaling) for row in scaling.rows for estimate in row],
    }


def as_text(scaling: Scaling) -> str:
    notes = [_head(scaling), *(f"- {line}" for line in assumptions(scaling))]
    return "\n\n".join(["\n".join(notes), aligned(_table(scaling))])


def as_markdown(scaling: Scaling) -> str:
    return "\n\n".join([_head(scaling), markdown(_table(scaling)), "\n".join(f"- {x}" for x in assumptions(scaling))])


def assumptions(scaling: Scaling) -> list[str]:
    """All of them, a line each."""
    worker, sending, cluster = scaling.worker, scaling.sending, scaling.rows[0][0].cluster
    batches = "the batch of all together stays the same, and less work takes as much less time"
    lines = [
        f"one worker alone: {worker.batch} images in {_milliseconds(worker.seconds)} ms ({worker.assumed}); the "
        "backward pass is two thirds of it, and of that each layer's part goes by its multiply-adds",
        f"workers: {batches if sending.strong else 'each keeps its batch'}; all are equally fast, none waits for data",
        "link, each way: " + ", ".join(_told(estimate.cluster.link) for estimate in scaling.rows[0]),
        f"all-reduce between nodes: {cluster.algorithm} ({MEANINGS[cluster.algorithm]}); adding up costs nothing",
        f"overlapped: messages of at least {sending.bucket / 2**20:g} MiB leave, one at a time, while the backward "
        "pass goes on, and do not slow it down",
        "efficiency: what a worker does in a second, over what one does alone",
    ]
    if cluster.inside and cluster.workers_per_node > 1:
        add_up = f"which add up inside it first (ring, {_told(cluster.inside)})"
        lines.insert(4, f"{cluster.workers_per_node} workers a node, {add_up}")
    if scaling.gradient.uncounted:
        missing = ", ".join(f"{layer.name} ({layer.type})" for layer in scaling.gradient.uncounted)
        lines.append(f"NOT COUNTED, so bytes and multiply-adds lack them: {missing}")
    return lines


def _estimate_data(estimate: Estimate, scaling: Scaling) -> dict[str, Any]:
    cluster = estimate.cluster
    images = scaling.worker.batch * (1 if scaling.sending.strong else cluster.workers)
    return {
        **asdict(cluster),
        "workers": cluster.workers,
        "batch_of_all": images,
        "compute": estimate.compute,
        "all_reduce": estimate.all_reduce,
        "after_backward": estimate.after_backward,
        "overlapped": estimate.overlapped,
        "efficiency": estimate.efficiency,
        "efficiency_overlapped": estimate.efficiency_overlapped,
        "images_per_second": images / estimate.overlapped,
    }


def _head(scaling: Scaling) -> str:
    gradient = scaling.gradient
    sent = f"{scaling.message / VALUE_BYTES:,.0f} values"
    return (
        f"{gradient.name or 'network'}: {_size(scaling.message)} of gradient an iteration ({sent}), "
        f"{PAPERS.abbreviate(gradient.multiply_adds)} multiply-adds for one image"
    )


def _table(scaling: Scaling) -> Table:
    """For each link the all-reduce in ms, and the efficiency without and with overlap."""
    links = [f"{estimate.cluster.link.gigabits:g} Gb/s" for estimate in scaling.rows[0]]
    table = [("nodes", "workers", *(f"{link}: {x}" for link in links for x in ("ms", "after", "overlapped")))]
    for row in scaling.rows:
        cells = [
            cell
            for estimate in row
            for cell in (
                _milliseconds(estimate.all_reduce),
                _percent(estimate.efficiency),
                _percent(estimate.efficiency_overlapped),
            )
        ]
        table.append((f"{row[0].cluster.nodes}", f"{row[0].cluster.workers}", *cells))
    return table


def _told(link: Link) -> str:
    return f"{link.share:g} of {link.gigabits:g} Gb/s with {link.microseconds:g} us"


def _size(count: int) -> str:
    return f"{count / 1e6:.2f} MB" if count >= 10_000 else f"{count:,} bytes"


def _milliseconds(seconds: float) -> str:
    """Three digits, and of small ones hundredths."""
    value = seconds * 1e3
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
