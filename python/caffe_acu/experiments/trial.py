"""The quick start: a network with convolutions and the same with ACUs, trained side by side on one set of
images, on a schedule of minutes instead of the papers' days.
"""

import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from google.protobuf.message import Message
from tqdm import tqdm

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.options import CifarOptions, GeneratedOptions, WriteOptions
from caffe_acu.errors import UserError
from caffe_acu.experiments.run import Run
from caffe_acu.net_param import write_atomically
from caffe_acu.nets.builder import Acu, DataSource
from caffe_acu.nets.plain import cifar_solver, plain
from caffe_acu.nets.probe import probe, probe_solver

_SETTINGS = "trial.json"
_POLL_SECONDS = 0.5
_REPORT_SECONDS = 30.0  # between lines of progress where there is no terminal
# A short run's BatchNorm statistics must not remember its beginning: about 20 iterations instead of 1000.
_BN_FRACTION = 0.95
_TEST_BATCH = 100


@dataclass(frozen=True)
class TrialOptions:
    """What makes one trial another. ``data``: CIFAR-10 (or a prepared data set); None: generated images."""

    data: str | None = None
    iterations: int = 500
    warmup_iter: int | None = None  # None: a quarter of the iterations
    probe_iterations: int = 1600  # of the probes, which run on generated images only
    seed: int = 1
    limit_train: int | None = None  # images per class
    limit_test: int | None = None

    def __post_init__(self) -> None:
        if self.iterations < 4 or self.probe_iterations < 16:
            raise UserError("--iterations takes 4 or more, --probe-iterations 16 or more")
        if not 0 <= self.warmup < self.iterations:
            raise UserError(f"--warmup is {self.warmup}: it takes 0 to {self.iterations - 1}, less than --iterations")

    @property
    def warmup(self) -> int:
        return self.iterations // 4 if self.warmup_iter is None else self.warmup_iter


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


def run_trial(out: Path, options: TrialOptions, overwrite: bool = False) -> Trial:
    """Prepares data, trains, and returns the trial; what stands in ``out`` from an interrupted call is kept.

    Raises UserError for bad input, and if ``out`` holds a trial with other options and not ``overwrite``.
    """
    _claim(out, options, overwrite)
    data_folder = _prepare_data(out, options)
    manifest = json.loads((data_folder / "manifest.json").read_text())
    pairs = _make_pairs(out, data_folder, manifest, options)
    for pair in pairs:
        _train([run for run in (pair.base, pair.acu) if not run.done])
    return Trial(out, manifest, pairs, options)


def _claim(out: Path, options: TrialOptions, overwrite: bool) -> None:
    settings = asdict(options)
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


def _make_pairs(out: Path, data_folder: Path, manifest: dict, options: TrialOptions) -> list[Pair]:
    classes = len(manifest["classes"])
    generated = manifest["source"].startswith("generated")
    source = DataSource(
        str(data_folder / "train_lmdb"),
        str(data_folder / "test_lmdb"),
        train_batch=64,
        test_batch=_TEST_BATCH,
        crop_size=manifest["splits"]["test"]["shape"][1],
        mirror=not generated,  # the class of a generated image is how it is turned
    )
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
    if generated:
        nets = probe(False, source, classes), probe(True, source, classes)
        pairs.append(pair("probe", nets, probe_solver(options.probe_iterations, options.seed)))
    base, acu = (
        plain(unit, source=source, classes=classes, bn_fraction=_BN_FRACTION)
        for unit in (None, Acu(warmup_iter=options.warmup))
    )
    pairs.append(pair("plain", (base, acu), _short_solver(options)))
    return pairs


def _short_solver(options: TrialOptions) -> "caffe_pb2.SolverParameter":
    """The paper's solver with its two drops of the rate at the same fractions of a shorter run."""
    n = options.iterations
    solver = cifar_solver("", "")
    solver.max_iter = n
    solver.stepvalue[:] = [max(1, n * 5 // 8), max(1, n * 7 // 8)]
    solver.test_interval = n // 2 if n % 2 == 0 else n
    solver.test_initialization = False
    solver.display = max(1, n // 40)
    solver.snapshot = max(1, n // 16)
    solver.random_seed = options.seed
    return solver


def _train(runs: Sequence[Run]) -> None:
    """Trains side by side, the cores shared among the runs; an interrupt lets each write a snapshot."""
    if not runs:
        return
    threads = max(1, len(os.sched_getaffinity(0)) // len(runs))
    bars = [tqdm(total=run.max_iter, desc=run.name, unit="it", disable=None, position=i) for i, run in enumerate(runs)]
    running = list(runs)
    try:
        for run in runs:
            run.start(threads)
        last_report = time.monotonic()
        while running:
            running[0].wait(_POLL_SECONDS)
            for run, bar in zip(runs, bars, strict=True):
                bar.update(run.iteration() - bar.n)
            running = [run for run in running if not run.poll()]
            if bars[0].disable and time.monotonic() - last_report >= _REPORT_SECONDS:
                last_report = time.monotonic()
                print(
                    ", ".join(f"{run.name}: iteration {run.iteration()} of {run.max_iter}" for run in runs), flush=True
                )
    finally:
        for run in runs:
            run.stop()
        for bar in bars:
            bar.close()
