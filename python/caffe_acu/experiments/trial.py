"""The quick start: a network with convolutions and the same with ACUs, trained side by side on one set of
images, on a schedule of minutes instead of the papers' days.
"""

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from google.protobuf.message import Message

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.layout import read_manifest
from caffe_acu.data.options import CifarOptions, GeneratedOptions, WriteOptions
from caffe_acu.errors import UserError
from caffe_acu.experiments.run import Run
from caffe_acu.experiments.training import Where, train
from caffe_acu.net_param import write_atomically
from caffe_acu.nets.builder import Acu, DataSource
from caffe_acu.nets.plain import plain
from caffe_acu.nets.probe import probe, probe_solver
from caffe_acu.nets.schedules import CIFAR_ITERATIONS, CIFAR_WARMUP_ITER, CVPR_CIFAR

_SETTINGS = "trial.json"
# A short run's BatchNorm statistics must not remember its beginning: about 20 iterations instead of 1000.
_BN_FRACTION = 0.95
_TEST_BATCH = 100


@dataclass(frozen=True)
class TrialOptions:
    """What makes one trial another. ``data``: CIFAR-10 (or a prepared data set); None: generated images."""

    data: str | None = None
    iterations: int = 500
    warmup_iter: int | None = None  # None: a quarter of the iterations, or as the paper
    probe_iterations: int = 1600  # of the probes, which run on generated images only
    seed: int = 1
    limit_train: int | None = None  # images per class
    limit_test: int | None = None
    paper: bool = False  # the paper's schedule, to scale if it is not for CIFAR_ITERATIONS

    def __post_init__(self) -> None:
        if self.iterations < 4 or self.probe_iterations < 16:
            raise UserError("--iterations takes 4 or more, --probe-iterations 16 or more")
        if not 0 <= self.warmup < self.iterations:
            raise UserError(f"--warmup is {self.warmup}: it takes 0 to {self.iterations - 1}, less than --iterations")

    @property
    def warmup(self) -> int:
        if self.warmup_iter is not None:
            return self.warmup_iter
        return self.iterations * CIFAR_WARMUP_ITER // CIFAR_ITERATIONS if self.paper else self.iterations // 4


@dataclass(frozen=True)
class Pair:
    """A network with convolutions and its ACU version."""

    base: Run
    acu: Run


@dataclass(frozen=True)
class Trial:
    """A trial that has ended: what is to be reported."""

    out: Path
    manifest: dict  # of the data set
    pairs: list[Pair]
    options: TrialOptions


def run_trial(
    out: Path, options: TrialOptions, overwrite: bool = False, where: Where = Where(), deadline: float | None = None
) -> Trial | None:
    """Prepares data, trains, and returns the trial; what stands in ``out`` from an interrupted call is kept.

    At ``deadline``, on the clock of time.monotonic, training stops with snapshots to go on from; then it returns
    None, unless all was done. Raises UserError for bad input, and if ``out`` holds a trial with other options and
    not ``overwrite``.
    """
    _claim(out, options, overwrite)
    data_folder = _prepare_data(out, options)
    manifest = read_manifest(data_folder)
    pairs = _make_pairs(out, data_folder, manifest, options)
    for pair in pairs:
        if not train([pair.base, pair.acu], where, deadline):
            return None
    return Trial(out, manifest, pairs, options)


def _claim(out: Path, options: TrialOptions, overwrite: bool) -> None:
    settings = asdict(options)
    if options.data:  # by its name: a trial may go on in another place
        settings["data"] = Path(options.data).name
    path = out / _SETTINGS
    if path.exists():
        if json.loads(path.read_text()) == settings and not overwrite:
            return
        if not overwrite:
            raise UserError(f"{out}: holds a trial with other options: choose another --out, or --overwrite")
        shutil.rmtree(out)
    elif out.exists() and any(out.iterdir()):
        raise UserError(f"{out}: is not empty and no trial: choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(path, json.dumps(settings, indent=2) + "\n")


def _prepare_data(out: Path, options: TrialOptions) -> Path:
    """The folder of the data set, which is made unless it is there."""
    if options.data and (Path(options.data) / "manifest.json").is_file():
        return Path(options.data).resolve()
    folder = (out / "data").resolve()
    if not folder.exists():
        if options.data:
            from caffe_acu.data.prepare import prepare

            print(f"preparing {options.data}", flush=True)
            prepare(
                Path(options.data), folder, CifarOptions(limit_train=options.limit_train, limit_test=options.limit_test)
            )
        else:
            from caffe_acu.data.generated import prepare_generated

            print("making images", flush=True)
            prepare_generated(folder, GeneratedOptions(write=WriteOptions(seed=options.seed)))
    return folder


def data_source(data_folder: Path, manifest: dict) -> DataSource:
    """The data set as the papers' networks on CIFAR-10 read it."""
    return DataSource(
        str(data_folder / "train_lmdb"),
        str(data_folder / "test_lmdb"),
        train_batch=64,
        test_batch=_TEST_BATCH,
        crop_size=manifest["splits"]["test"]["shape"][1],
        mirror=not _is_generated(manifest),  # the class of a generated image is how it is turned
    )


def _is_generated(manifest: dict) -> bool:
    return manifest["source"].startswith("generated")


def _make_pairs(out: Path, data_folder: Path, manifest: dict, options: TrialOptions) -> list[Pair]:
    classes = len(manifest["classes"])
    source = data_source(data_folder, manifest)
    test_iter = max(1, manifest["splits"]["test"]["images"] // _TEST_BATCH)

    def pair(name: str, nets: tuple[Message, Message], solver: "caffe_pb2.SolverParameter") -> Pair:
        solver.test_iter[0] = test_iter
        runs = []
        for run_name, net in zip((name, f"{name}_acu"), nets, strict=True):
            run = Run(run_name, out / run_name, solver.max_iter)
            run.write(net, solver)
            runs.append(run)
        return Pair(*runs)

    pairs = []
    if _is_generated(manifest):
        nets = probe(False, source, classes), probe(True, source, classes)
        pairs.append(pair("probe", nets, probe_solver(options.probe_iterations, options.seed)))
    base, acu = (
        plain(unit, source=source, classes=classes, bn_fraction=None if options.paper else _BN_FRACTION)
        for unit in (None, Acu(warmup_iter=options.warmup))
    )
    pairs.append(pair("plain", (base, acu), _paper_solver(options) if options.paper else _short_solver(options)))
    return pairs


def _paper_solver(options: TrialOptions) -> "caffe_pb2.SolverParameter":
    """The paper's solver; all its iteration numbers to the scale of the trial's iterations."""
    solver = CVPR_CIFAR.message()
    n = options.iterations

    def scaled(iteration: int) -> int:
        return max(1, iteration * n // CIFAR_ITERATIONS)

    solver.stepvalue[:] = [scaled(step) for step in solver.stepvalue]
    solver.max_iter, solver.random_seed = n, options.seed
    solver.test_interval, solver.snapshot = scaled(solver.test_interval), scaled(solver.snapshot)
    solver.display = max(1, min(solver.display, n // 40))
    return solver


def _short_solver(options: TrialOptions) -> "caffe_pb2.SolverParameter":
    """The paper's solver with its two drops of the rate at the same fractions of a shorter run."""
    n = options.iterations
    solver = CVPR_CIFAR.message()
    solver.max_iter = n
    solver.stepvalue[:] = [max(1, n * 5 // 8), max(1, n * 7 // 8)]
    solver.test_interval = n // 2 if n % 2 == 0 else n
    solver.test_initialization = False
    solver.display = max(1, n // 40)
    solver.snapshot = max(1, n // 16)
    solver.random_seed = options.seed
    return solver
