"""The model on paper: one iteration of workers that train together, each on images of its own."""

from dataclasses import dataclass

from caffe_acu.errors import UserError
from caffe_acu.scaling.allreduce import Cluster
from caffe_acu.scaling.gradient import VALUE_BYTES, Gradient

# A product forward becomes two backward: for the gradient of the input and for that of the weights.
BACKWARD_SHARE = 2 / 3


@dataclass(frozen=True)
class Worker:
    """What one worker does in an iteration when it trains alone. ``assumed``: in words, where the time comes from."""

    batch: int  # images
    seconds: float
    assumed: str

    def __post_init__(self) -> None:
        if self.batch < 1 or not self.seconds > 0:
            raise UserError(f"{self.batch} images in {self.seconds:g} s: both must be positive")


def measured(batch: int, seconds: float) -> Worker:
    return Worker(batch, seconds, "given")


def assumed(gradient: Gradient, batch: int, teraflops: float, utilisation: float) -> Worker:
    """By counting: two operations a multiply-add, once forward and twice backward, at so much of a peak rate."""
    if not (teraflops > 0 and 0 < utilisation <= 1):
        raise UserError(
            f"{teraflops:g} TFLOP/s, of which {utilisation:g} is had: the rate must be positive, and the utilisation "
            "above 0 and at most 1"
        )
    operations = 2 * gradient.multiply_adds * batch / (1 - BACKWARD_SHARE)
    if not operations:
        raise UserError("the network multiplies nothing, so its time cannot be reckoned: give --seconds")
    seconds = operations / (teraflops * 1e12 * utilisation)
    return Worker(
        batch,
        seconds,
        f"reckoned, not measured: {operations / 1e12:.3g} TFLOP at {utilisation:g} of {teraflops:g} TFLOP/s",
    )


@dataclass(frozen=True)
class Sending:
    """How gradients are sent.

    Attributes:
        bucket: bytes of a message that is sent while the backward pass goes on; layers share it until it is full.
        all_blobs: send those that do not learn as well.
        strong: the batch of all workers together stays that of one, and each has its part.
    """

    bucket: float = 4 * 2**20
    all_blobs: bool = False
    strong: bool = False

    def __post_init__(self) -> None:
        if not self.bucket > 0:
            raise UserError(f"messages of {self.bucket:g} bytes: they must have some")

    def sizes(self, gradient: Gradient) -> list[int]:
        """Bytes of each layer."""
        return [VALUE_BYTES * (layer.learned + self.all_blobs * layer.resting) for layer in gradient.layers]


@dataclass(frozen=True)
class Estimate:
    """Of one iteration on a cluster. Seconds.

    Efficiency is what a worker does in a second, over what it does alone; 1 for a single one.
    """

    cluster: Cluster
    compute: float  # of each worker
    all_reduce: float  # of everything in one message
    after_backward: float  # the iteration, if that message is sent after the backward pass
    overlapped: float  # the iteration, if messages are sent while the backward pass goes on

    @property
    def efficiency(self) -> float:
        return self.compute / self.after_backward

    @property
    def efficiency_overlapped(self) -> float:
        return self.compute / self.overlapped


def estimate(gradient: Gradient, worker: Worker, cluster: Cluster, sending: Sending = Sending()) -> Estimate:
    """An iteration. With ``strong``, less work takes as much less time; UserError if a worker has no image."""
    if sending.strong and cluster.workers > worker.batch:
        raise UserError(f"{worker.batch} images for {cluster.workers} workers: with --strong each needs one at least")
    compute = worker.seconds / (cluster.workers if sending.strong else 1)
    all_reduce = cluster.all_reduce(sum(sending.sizes(gradient)))
    return Estimate(
        cluster=cluster,
        compute=compute,
        all_reduce=all_reduce,
        after_backward=compute + all_reduce,
        overlapped=_overlapped(gradient, compute, cluster, sending),
    )


def _overlapped(gradient: Gradient, compute: float, cluster: Cluster, sending: Sending) -> float:
    """The end of the iteration: layers end their backward pass from the last to the first, each after a time in
    proportion to its multiply-adds; one message is on its way at a time."""
    if cluster.workers == 1:
        return compute
    clock, sent, waiting = compute * (1 - BACKWARD_SHARE), 0.0, 0
    per_multiply_add = compute * BACKWARD_SHARE / max(1, gradient.multiply_adds)
    for layer, size in zip(reversed(gradient.layers), reversed(sending.sizes(gradient)), strict=True):
        clock += layer.multiply_adds * per_multiply_add
        waiting += size
        if waiting >= sending.bucket:
            sent, waiting = max(sent, clock) + cluster.all_reduce(waiting), 0
    if waiting:
        sent = max(sent, compute) + cluster.all_reduce(waiting)
    return max(compute, sent)
