"""An evaluation, from files to errors."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.data.datum import AS_STORED, COLOUR, GREY, decode
from caffe_acu.data.progress import progress, slices
from caffe_acu.errors import UserError
from caffe_acu.evaluation.nets import TestNet, read_test_net
from caffe_acu.evaluation.network import Network
from caffe_acu.evaluation.options import EvaluateOptions
from caffe_acu.evaluation.records import Records, ahead, find_data
from caffe_acu.evaluation.scores import TopError, average_views, ranks, top_error
from caffe_acu.evaluation.views import Viewing, read_mean_file
from caffe_acu.experiments.environment import command_line, describe_environment

_BATCH = 50  # images at once where the prototxt does not say
_MANY_CLASSES = 100  # from which on the second of the usual two figures, top-5, says something


@dataclass(frozen=True)
class Evaluation:
    """What was measured: for N records their ``labels`` and ``ranks`` (see :mod:`.scores`), and how."""

    net: Path
    weights: Path
    lmdb: Path
    labels: np.ndarray  # int64 (N,)
    ranks: np.ndarray  # int (N,)
    class_count: int
    class_names: tuple[str, ...]  # fewer, or none, where no manifest tells them
    top: tuple[int, ...]
    viewing: Viewing
    scores: str
    batch: int  # views in a pass
    gpu: int | None
    seconds: float  # of reading and the network

    @property
    def errors(self) -> list[TopError]:
        return [top_error(self.ranks, k) for k in self.top]

    def per_class(self) -> Iterator[tuple[str, list[TopError]]]:
        """Name (or number) and errors of every class of which there is a record."""
        for label in np.unique(self.labels):
            name = self.class_names[label] if label < len(self.class_names) else str(label)
            yield name, [top_error(self.ranks[self.labels == label], k) for k in self.top]

    def summary(self, with_classes: bool = False) -> list[str]:
        """A few lines for a person."""
        crops, size = self.viewing.crops, _by(self.viewing.shape[1:])
        views = f"one crop of {size}" if crops == 1 else f"{crops} crops of {size}, averaged"
        lines = [f"{self.weights.name} on {self.lmdb}: {len(self.labels):,} records, {views}"]
        lines += [
            f"top-{error.k} error: {error.percent:.2f} % +- {error.standard_error:.2f} (standard error)"
            for error in self.errors
        ]
        if with_classes:
            lines += _table([(name, *errors) for name, errors in self.per_class()], self.top)
        return [*lines, f"{self.seconds:.1f} seconds, {len(self.labels) / self.seconds:.0f} records a second"]

    def as_data(self) -> dict[str, Any]:
        """Everything, for JSON; files by their names, as in all records of the project."""
        viewing = self.viewing
        mean = None
        if viewing.mean is not None:
            mean = viewing.mean.ravel().tolist() if viewing.mean.shape[1:] == (1, 1) else "an image"
        return {
            "command": command_line(),
            "environment": describe_environment(),
            "net": self.net.name,
            "weights": self.weights.name,
            "data": self.lmdb.name,
            "records": len(self.labels),
            "classes": self.class_count,
            "scores": self.scores,
            "input": list(viewing.shape),
            "crops": viewing.crops,
            "mean": mean,
            "scale": viewing.scale,
            "batch": self.batch,
            "gpu": self.gpu,
            "seconds": self.seconds,
            "top": {str(error.k): error.as_data() for error in self.errors},
            "per_class": {
                name: {
                    "records": errors[0].records,
                    "top": {str(error.k): error.as_data() for error in errors},
                }
                for name, errors in self.per_class()
            },
        }


def evaluate(net: Path, weights: Path, options: EvaluateOptions = EvaluateOptions()) -> Evaluation:
    """Runs the network over the records of an LMDB.

    Args:
        net: a prototxt, with an LMDB in its test phase or with an Input.
        weights: a caffemodel.
        options: what overrides the prototxt, and what it does not say.

    Raises UserError, which names the file, the layer or the record, for bad input. With one crop the errors are 1 minus
    what Caffe's Accuracy layer gives on the same records; ``mirror`` of a test phase is not followed, chance has no
    place in a test.
    """
    test_net = read_test_net(net, options.scores)
    found = find_data(_data_folder(net, test_net, options), options.split)
    with Records(found.lmdb, options.limit) as records:
        viewing = make_viewing(test_net, options, records)
        together = max(1, min((options.batch or test_net.data.batch_size or _BATCH) // viewing.crops, len(records)))
        network = Network(test_net, weights, (together * viewing.crops, *viewing.shape), options.gpu)
        top = _top(options.top, network.classes)
        begin = time.monotonic()
        all_ranks, all_labels = [], []
        parts = slices(len(records), together)
        batches = ahead(lambda part: records.batch(range(part.start, part.stop), viewing), parts)
        with closing(batches), progress("evaluating", len(records)) as bar:
            for part, (images, labels) in batches:
                _check_labels(labels, network.classes, records, part)
                scores = average_views(network.scores(images), viewing.crops, test_net.probabilities)
                all_ranks.append(ranks(scores, labels))
                all_labels.append(labels)
                bar.update(len(labels))
        seconds = time.monotonic() - begin
    return Evaluation(
        net, weights, found.lmdb, np.concatenate(all_labels), np.concatenate(all_ranks), network.classes,
        found.classes, top, viewing, test_net.scores, together * viewing.crops, options.gpu, seconds,
    )  # fmt: skip


def _data_folder(net: Path, test_net: TestNet, options: EvaluateOptions) -> Path:
    if options.data is not None:
        return options.data
    if not test_net.data.source:
        raise UserError(f"{net}: no layer of it reads an LMDB: name one, or a data set's folder, with --data")
    return Path(test_net.data.source)


def make_viewing(net: TestNet, options: EvaluateOptions, records: Records) -> Viewing:
    """How records are read; the first tells what the prototxt leaves to the images."""
    transform = net.transform
    if net.input_shape:
        # Caffe would be told by force_color; here the network's input tells how many channels it wants.
        channels, crop = net.input_shape[0], net.input_shape[1:]
        colour = {1: GREY, 3: COLOUR}.get(channels, AS_STORED)
    else:
        colour = COLOUR if transform.force_color else GREY if transform.force_gray else AS_STORED
        crop = 2 * (transform.crop_size,) if transform.crop_size else None
    try:
        first = decode(records.read(0), colour)
    except ValueError as error:
        raise UserError(f"{records.name(0)}: {error}") from error
    return Viewing(
        channels=net.input_shape[0] if net.input_shape else len(first),
        size=first.shape[1:],
        crop=crop,
        crops=options.crops,
        mean=_mean(transform, options),
        scale=transform.scale if options.scale is None else options.scale,
        colour=colour,
    )


def _mean(transform: Any, options: EvaluateOptions) -> np.ndarray | None:
    """Float32 (C, H, W), (1 or C, 1, 1), or None."""
    values: Sequence[float] = transform.mean_value
    file = transform.mean_file
    if options.mean is not None:
        values, file = options.mean_values or (), "" if options.mean_values else options.mean
    if file:
        return read_mean_file(file)
    return np.array(values, np.float32).reshape(-1, 1, 1) if values else None


def _top(chosen: tuple[int, ...] | None, classes: int) -> tuple[int, ...]:
    if chosen is None:
        return (1, 5) if classes >= _MANY_CLASSES else (1,)
    for k in chosen:
        if k > classes:
            raise UserError(f"--top {k}: the network has {classes} classes")
    return chosen


def _check_labels(labels: np.ndarray, classes: int, records: Records, part: slice) -> None:
    wrong = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        raise UserError(
            f"{records.name(part.start + int(wrong[0]))} has label {labels[wrong[0]]}, the network's classes are 0 to "
            f"{classes - 1}: is this the data set that it was trained on?"
        )


def _table(rows: Sequence[tuple[Any, ...]], top: Sequence[int]) -> list[str]:
    width = max(len("class"), *(len(name) for name, *_ in rows))
    lines = [f"{'class':{width}}  records" + "".join(f"{f'top-{k} (%)':>12}" for k in top)]
    for name, *errors in rows:
        percents = "".join(f"{error.percent:12.2f}" for error in errors)
        lines.append(f"{name:{width}}  {errors[0].records:7d}{percents}")
    return lines


def _by(size: Sequence[int]) -> str:
    return "x".join(map(str, size))
