"""Curves and positions of runs as TensorBoard's event files."""

import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.errors import UserError
from caffe_acu.positions import LayerSeries
from caffe_acu.reproduce.records import Metrics, read_metrics, read_positions_over_time, read_run
from caffe_acu.reproduce.watch import run_name

Value = tuple[str, int, float]  # tag, iteration, value
_FLUSH_SECONDS = 2  # after which TensorBoard sees what is new
_LENGTH, _CHECKSUM = 8, 4  # bytes around a record: its length, checksums of that and of the record


def check_tensorboard() -> None:
    """UserError if what writes event files is not there."""
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise UserError(
            "--tensorboard needs tensorboardX, which is not there: pip install 'caffe-acu[tensorboard]'"
        ) from None


class EventFolder:
    """What is written of a run, in ``<folder>/<network>/seed<k>``, which TensorBoard calls it by; below a folder that
    says so if it is not comparable with the paper's ("scaled 1-64, not comparable").

    What is there already, by tag and iteration, is not written again, also if an earlier process wrote it. A run that
    was begun anew needs a new folder. A context, at whose end the file is closed.
    """

    def __init__(self, run: Path, folder: Path) -> None:
        self._run = run
        remark = read_run(run).remark if (run / "run.json").is_file() else ""
        self._place = folder / remark.replace("/", "-") / run_name(run)
        self._written = {(tag, step) for tag, step, _ in read_events(self._place)}
        self._writer: Any = None  # opened with the first value, since that makes a file

    def __enter__(self) -> "EventFolder":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def update(self) -> int:
        """Adds what is new; returns how many values that were."""
        values = [*_curves(read_metrics(self._run)), *_positions(read_positions_over_time(self._run))]
        new = [value for value in values if value[:2] not in self._written]
        if new:
            try:
                self._add(new)
            except OSError as error:
                raise UserError(f"{self._place}: cannot be written: {error.strerror}") from error
            self._written |= {(tag, step) for tag, step, _ in new}
        return len(new)

    def _add(self, values: list[Value]) -> None:
        from tensorboardX import SummaryWriter

        if self._writer is None:
            # Files are called by the second, and one of the same name would be overwritten.
            suffix = f".{time.time_ns()}"
            self._writer = SummaryWriter(str(self._place), flush_secs=_FLUSH_SECONDS, filename_suffix=suffix)
        for tag, step, value in values:
            self._writer.add_scalar(tag, value, step)


def _curves(metrics: Metrics) -> Iterator[Value]:
    for tag, iterations, values in (
        ("lr", metrics.train_iteration, metrics.rate),
        ("loss/train", metrics.train_iteration, metrics.train_loss),
        ("loss/test", metrics.test_iteration, metrics.test_loss),
        ("error/test_percent", metrics.test_iteration, metrics.test_error),
    ):
        # A test without accuracy has none, the last iteration no rate; a loss that became NaN is told.
        known = np.full(len(values), True) if tag == "loss/train" else ~np.isnan(values)
        yield from _series(tag, iterations[known], values[known])


def _positions(layers: list[LayerSeries]) -> Iterator[Value]:
    """Means over the free synapses of a layer, in pixels: distance from the base point, and from the first record."""
    for layer in layers:
        free = np.arange(layer.x.shape[2]) != layer.fixed[:, None]
        if free.any():
            radius = np.hypot(layer.x, layer.y)[:, free].mean(axis=1)
            moved = np.hypot(layer.x - layer.x[0], layer.y - layer.y[0])[:, free]
            yield from _series(f"positions/{layer.layer}/mean_radius", layer.iterations, radius)
            yield from _series(f"positions/{layer.layer}/mean_moved", layer.iterations, moved.mean(axis=1))
            yield from _series(f"positions/{layer.layer}/max_moved", layer.iterations, moved.max(axis=1))


def _series(tag: str, iterations: np.ndarray, values: np.ndarray) -> Iterator[Value]:
    for iteration, value in zip(iterations.tolist(), values.tolist(), strict=True):
        yield tag, iteration, value


def read_events(folder: Path) -> Iterator[Value]:
    """The scalars of all event files in a folder; of a file that is cut short, those of its whole records."""
    from tensorboardX.proto.event_pb2 import Event

    for path in sorted(folder.glob("events.out.tfevents.*")):
        raw, at = path.read_bytes(), 0
        while at + _LENGTH <= len(raw):
            (length,) = struct.unpack_from("<Q", raw, at)
            begin = at + _LENGTH + _CHECKSUM
            at = begin + length + _CHECKSUM
            if at <= len(raw):
                event = Event.FromString(raw[begin : begin + length])
                for value in event.summary.value:
                    yield value.tag, event.step, value.simple_value
