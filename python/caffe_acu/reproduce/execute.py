"""One run, from its folder to its test: trains or goes on, and leaves what the tables and reports are made of."""

import json
import os
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.evaluation.nets import read_test_net
from caffe_acu.evaluation.options import EvaluateOptions
from caffe_acu.evaluation.run import evaluate
from caffe_acu.experiments.run import TRAIN_VAL, Run
from caffe_acu.net_param import format_prototxt, write_atomically
from caffe_acu.nets.model import ROUND, Model
from caffe_acu.reproduce.locks import RUN_LOCK, locked
from caffe_acu.reproduce.metrics import METRICS, write_metrics
from caffe_acu.reproduce.prepare_run import POSITION_LOG, RunSettings, read_settings
from caffe_acu.reproduce.run_status import DONE
from caffe_acu.surgery.files import apply_file, round_file

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 60  # for a run whose command was killed, and that still writes its snapshot
_LAST_SECONDS = 300  # of a job: its start is before ours, and an iteration and a snapshot take a while
_KEPT_STATES = 2  # while training: should the newest be damaged
_SNAPSHOT_FILES = (".caffemodel", ".digests", ".solverstate")


@dataclass(frozen=True)
class Device:
    """On what a run trains; without ``gpus``, on the CPU. ``held``: descriptors of locks that training holds, too."""

    threads: int
    gpus: tuple[int, ...] = ()
    held: tuple[int, ...] = ()


def execute(folder: Path, device: Device) -> None:
    """Trains and tests the run in ``folder``, or goes on with it; returns when DONE is there.

    At an interrupt training stops with a snapshot; killed, it goes on from the last good one. UserError if training
    fails, if another process trains the same run, if the run that this one starts from is not done, or if its batch
    was divided for another number of GPUs.
    """
    settings = read_settings(folder)
    if settings.gpus_per_run != max(1, len(device.gpus)):
        raise UserError(
            f"{folder}: was prepared with --gpus-per-run {settings.gpus_per_run}, and is to train on "
            f"{len(device.gpus)} GPUs: give it as many"
        )
    taken = f"{folder}: another process trains it: wait for that one"
    with locked(folder / RUN_LOCK, taken, _PATIENCE_SECONDS) as lock:
        if (folder / DONE).is_file():
            return
        run = settings.run(folder)
        if not run.done:
            if settings.start is not None and not run.start_weights.is_file():
                _make_start(folder, settings, run)
            _train(run, device, (lock.fileno(), *device.held))
        _write_series(run)
        _test(folder, settings, run, device)
        remove_snapshots(run, 1)
        write_atomically(folder / DONE, f"{settings.max_iter} iterations, tested\n")


@contextmanager
def ends_as_interrupts(minutes: float | None = None) -> Iterator[None]:
    """SIGTERM in the block is an interrupt, and so is the end of the time of a job of so many minutes, or a bit before.

    Slurm ends a job with SIGTERM as well, but need not send that to more than the first of its processes.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGALRM)}
    if minutes is not None:
        signal.setitimer(signal.ITIMER_REAL, 60 * minutes - min(_LAST_SECONDS, 60 * minutes / 4))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _make_start(folder: Path, settings: RunSettings, run: Run) -> None:
    assert settings.start is not None
    other = folder / settings.start.run
    if not (other / DONE).is_file():
        raise UserError(f"{folder}: starts from {os.path.relpath(other)}, which is not done: run that one first")
    trained = read_settings(other).run(other).snapshots()[-1]
    if settings.start.conversion == ROUND:
        round_file(trained, run.start_weights)
        return
    with tempfile.TemporaryDirectory() as made:
        net = Path(made) / "deploy.prototxt"
        write_atomically(net, format_prototxt(settings.network.deploy()))
        apply_file(trained, net, run.start_weights, seed=settings.seed)


def _train(run: Run, device: Device, held: Sequence[int]) -> None:
    try:
        run.start(device.threads, device.gpus, held)
        while not run.poll():
            run.wait(_POLL_SECONDS)
            remove_snapshots(run, _KEPT_STATES)
    finally:
        run.stop()


def _write_series(run: Run) -> None:
    write_metrics(run.log(), run.folder / METRICS)
    positions = run.folder / POSITION_LOG
    if positions.is_file():
        from caffe_acu.position_log import read_position_log, save_npz

        try:
            series = read_position_log(positions)
        except UserError as error:  # a disk that was full for a while; the training is as good without
            print(f"{error}; its result stands without their movement", flush=True)
            positions.rename(positions.with_suffix(".damaged"))
        else:
            save_npz(series, run.folder / "positions.npz")


def _test(folder: Path, settings: RunSettings, run: Run, device: Device) -> None:
    os.environ["CAFFE_ACU_THREADS"] = str(device.threads)  # read when Caffe is loaded
    net = folder / TRAIN_VAL
    described = read_test_net(net)  # its paths are those of Caffe, which runs in the folder
    mean = described.transform.mean_file
    options = EvaluateOptions(
        data=(folder / described.data.source).resolve(),
        crops=crops(settings.network),
        gpu=device.gpus[0] if device.gpus else None,
        limit=settings.limit,
        mean=str((folder / mean).resolve()) if mean else None,
    )
    tested = evaluate(net, run.snapshots()[-1], options)
    write_atomically(folder / "test.json", json.dumps(tested.as_data(), indent=2) + "\n")


def crops(model: Model) -> int:
    """Of a test image, as in the table that prints the network's result."""
    return 10 if any("10-crop" in row.metric for row in model.printed) else 1


def remove_snapshots(run: Run, kept: int) -> None:
    """Removes all snapshots but the newest, and weights of which a kill left no state."""
    states = run.states()[-kept:]
    if len(states) < kept:
        return
    oldest = states[0][0]
    snapshots = (path for path in (run.folder / "snapshots").glob("*_iter_*.*") if path.suffix in _SNAPSHOT_FILES)
    for path in snapshots:
        if int(path.stem.rpartition("_")[2]) < oldest:
            path.unlink(missing_ok=True)
