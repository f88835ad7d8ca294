"""A run's folder before training: ``run.json`` and the prototxts that ``caffe train`` starts from."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from caffe_acu.active_layer import ACTIVE_TYPES
from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.errors import UserError
from caffe_acu.experiments.run import TRAIN_VAL, Run
from caffe_acu.net_param import format_prototxt, read_prototxt, write_atomically
from caffe_acu.nets.model import APPLY, ROUND, Model
from caffe_acu.nets.zoo import all_models
from caffe_acu.reproduce.data_sets import FoundData, data_folder, find_data, is_there
from caffe_acu.reproduce.plan import Training
from caffe_acu.reproduce.run_status import TRAINED, run_status
from caffe_acu.reproduce.scale import position_interval, scale_training

SETTINGS = "run.json"
POSITION_LOG = "positions.log"
# What runs that were begun before `caffe-acu positions round` and `apply` have in their files.
_FORMERLY = {"round-positions": ROUND, "take-positions": APPLY}
_WORDS = {"limit": "--limit", "differs": "difference from the paper", "gpus_per_run": "--gpus-per-run"}


@dataclass(frozen=True)
class StartFrom:
    """The run that another starts from: its folder as seen from the other's, and what is made of its weights."""

    conversion: str
    run: str


@dataclass(frozen=True)
class RunSettings:
    """Content of ``run.json``: what makes one run another. Iterations are those after scaling."""

    model: str
    seed: int
    scale: int
    max_iter: int
    warmup_iter: int
    data: str
    limit: int | None  # test images, the first ones
    start: StartFrom | None
    differs: str = ""  # from the paper, beside the scale: FoundData.difference
    gpus_per_run: int = 1  # among which the batch is divided; 1 on the CPU, too

    @property
    def network(self) -> Model:
        """UserError for a model that is none."""
        for model in all_models():
            if model.folder == self.model:
                return model
        raise UserError(f"{SETTINGS}: model {self.model!r} is none of models/")

    def run(self, folder: Path) -> Run:
        details = {"seed": self.seed}
        if self.gpus_per_run > 1:
            details["gpus_per_run"] = self.gpus_per_run
        return Run(self.network.name, folder, self.max_iter, TRAINED, details)


@dataclass(frozen=True)
class Choices:
    """What a user chooses for all runs of a table."""

    scale: int = 1
    limit: int | None = None
    data: Mapping[str, Path] | None = None  # folders by data_name()
    gpus_per_run: int = 1

    def __post_init__(self) -> None:
        for name, value in (("--scale", self.scale), ("--limit", self.limit), ("--gpus-per-run", self.gpus_per_run)):
            if value is not None and value < 1:
                raise UserError(f"{name} is {value}: it takes 1 or more")


def read_settings(folder: Path) -> RunSettings:
    """UserError if the folder is none that :func:`prepare_run` made."""
    path = folder / SETTINGS
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        start = content.pop("start")
        if start:
            start["conversion"] = _FORMERLY.get(start["conversion"], start["conversion"])
        return RunSettings(**content, start=StartFrom(**start) if start else None)
    except FileNotFoundError:
        raise UserError(f"{folder}: no run in it ({SETTINGS}); `caffe-acu reproduce` makes run folders") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: damaged ({error}): delete its folder, and the run begins anew") from error


def prepare_run(results: Path, training: Training, choices: Choices = Choices()) -> Path:
    """Makes the folder of a training below ``results``, or finds it as it was made before; returns it.

    UserError if the data set is not there or another one, or if the folder holds a run with other settings that has
    begun; one that has not is made anew.
    """
    folder = results / training.folder
    data = find_data(training.model.data, data_folder(training.model.data, choices.data or {}), folder)
    net, solver = build_training(training.model, data, choices)
    solver.random_seed = training.seed
    if _has_positions(net):
        solver.position_log = POSITION_LOG
        solver.position_interval = position_interval(solver.max_iter)
    settings = RunSettings(
        model=training.model.folder,
        seed=training.seed,
        scale=choices.scale,
        max_iter=solver.max_iter,
        warmup_iter=max((layer.acu_param.warmup_iter for layer in net.layer), default=0),
        data=str(data.folder),
        limit=choices.limit,
        start=_start(training),
        differs=data.difference(training.model.data, choices.limit),
        gpus_per_run=choices.gpus_per_run,
    )
    if (folder / SETTINGS).is_file():
        found = read_settings(folder)
        if found.data != settings.data and _is_same_data(folder, found, settings):
            found = replace(found, data=settings.data)
            _write_settings(folder, found)
        if found == settings or run_status(folder) != "waiting":
            _require_same(folder, found, settings)
            _point_to_data(folder / TRAIN_VAL, net)
            return folder
    settings.run(folder).write(net, solver)
    # Last: a folder that has it has everything.
    _write_settings(folder, settings)
    return folder


def _write_settings(folder: Path, settings: RunSettings) -> None:
    write_atomically(folder / SETTINGS, json.dumps(asdict(settings), indent=2) + "\n")


def build_training(
    model: Model, data: FoundData, choices: Choices
) -> tuple["caffe_pb2.NetParameter", "caffe_pb2.SolverParameter"]:
    """The network and the solver that train on ``data``; UserError if GPUs cannot share the batch evenly."""
    source = replace(data.source, train_batch=batch_of_gpu(model, choices.gpus_per_run))
    net = replace(model, data=replace(model.data, source=source)).train_val()
    solver = model.schedule.message()
    limit_tests(solver, model, data.test_images(choices.limit))
    scale_training(net, solver, choices.scale)
    return net, solver


def batch_of_gpu(model: Model, gpus: int) -> int:
    """Training images of an iteration for each of so many GPUs: Caffe reads ``batch_size`` for every one of them.

    UserError if they cannot share the network's batch evenly.
    """
    batch = model.data.source.train_batch
    if batch % gpus:
        fitting = ", ".join(str(n) for n in range(1, batch + 1) if batch % n == 0)
        raise UserError(
            f"--gpus-per-run {gpus}: {model.folder} trains on {batch} images at a time: give one of {fitting}"
        )
    return batch // gpus


def limit_tests(solver: "caffe_pb2.SolverParameter", model: Model, images: int | None) -> None:
    """Lets tests while training take no more than so many images, in whole batches, of which one is the least."""
    if images is not None:
        solver.test_iter[:] = [min(solver.test_iter[0], max(1, images // model.data.source.test_batch))]


def _has_positions(net: "caffe_pb2.NetParameter") -> bool:
    return any(layer.type in ACTIVE_TYPES for layer in net.layer)


def _start(training: Training) -> StartFrom | None:
    start = training.start
    if start is None or training.model.start is None:
        return None
    other = Path("../..") / start.model.name / start.folder.name  # of the same paper
    return StartFrom(training.model.start.conversion, str(other))


def _is_same_data(folder: Path, found: RunSettings, wanted: RunSettings) -> bool:
    """Whether the folder only has another name now, or is no longer where it was: it or the results were moved."""
    before = {Path(found.data).resolve()} | {(folder / source).resolve().parent for source in _sources(folder)}
    return Path(wanted.data).resolve() in before or not any(map(is_there, before))


def _sources(folder: Path) -> list[str]:
    return [layer.data_param.source for layer in read_prototxt(folder / TRAIN_VAL).layer if layer.type == "Data"]


def _point_to_data(path: Path, net: "caffe_pb2.NetParameter") -> None:
    """Gives the written network the data paths of ``net``: they are relative, and results may have been moved."""
    new = [layer for layer in net.layer if layer.type == "Data"]
    text = path.read_text(errors="replace")
    if all(f'"{layer.data_param.source}"' in text for layer in new):
        return
    written = read_prototxt(path)
    for layer, by in zip((layer for layer in written.layer if layer.type == "Data"), new, strict=True):
        layer.data_param.source = by.data_param.source
        if by.transform_param.mean_file:
            layer.transform_param.mean_file = by.transform_param.mean_file
    write_atomically(path, format_prototxt(written))


def _require_same(folder: Path, settings: RunSettings, wanted: RunSettings) -> None:
    found, new = asdict(settings), asdict(wanted)
    for name, value in new.items():
        if found[name] != value:
            raise UserError(
                f"{folder}: holds a run with {_WORDS.get(name, name)} {_told(found[name])}, not {_told(value)}: give "
                "the same options as before, choose another --results, or delete that folder"
            )


def _told(value: Any) -> Any:
    return "none" if value in (None, "") else value
