"""A table or a figure from data to results: prepares the runs, lets Snakemake do them, and says what happened."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.nets.datasets import DataSet
from caffe_acu.reproduce.data_sets import data_folder, data_name, is_there, missing
from caffe_acu.reproduce.gpus import require_gpus
from caffe_acu.reproduce.locks import RUN_LOCK, is_locked, locked
from caffe_acu.reproduce.plan import Plan, Training
from caffe_acu.reproduce.prepare_run import Choices, batch_of_gpu, prepare_run, read_settings
from caffe_acu.reproduce.progress import watch
from caffe_acu.reproduce.records import remark_of
from caffe_acu.reproduce.results import results_folder
from caffe_acu.reproduce.run_status import DONE, RUN_LOG, failure
from caffe_acu.reproduce.workflow import Machines, Workflow, require_snakemake, snakemake_command, write_workflow

_LOCK = ".reproduce.lock"
_FULL_BYTES = 2**20  # with less there is no room for what a run would say


@dataclass(frozen=True)
class Order:
    """What a user asks for: a table or a figure, how, where to, and on what."""

    plan: Plan
    choices: Choices
    results: Path
    machines: Machines

    @property
    def folder(self) -> Path:
        """Below which everything of this scale stands, so that scales are never mixed."""
        return results_folder(self.results, self.choices.scale)

    @property
    def data(self) -> Mapping[str, Path]:
        return self.choices.data or {}

    def is_done(self, training: Training) -> bool:
        return (self.folder / training.folder / DONE).is_file()

    def has_data(self, training: Training) -> bool:
        return is_there(data_folder(training.model.data, self.data))


def check_data_names(plan: Plan, chosen: Mapping[str, Path]) -> None:
    """UserError if a folder is given for a data set that the table does not use."""
    names = {data_name(model.data) for model in plan.models}
    for name in chosen:
        if name not in names:
            raise UserError(f"--data {name}=...: {plan.title} uses {', '.join(sorted(names))}")


def check_batches(plan: Plan, gpus_per_run: int) -> None:
    """UserError if so many GPUs cannot share the batch of each network evenly."""
    for model in plan.models:
        batch_of_gpu(model, gpus_per_run)


def reproduce(order: Order) -> int:
    """Makes the table or the figure; returns 0, or 1 if a run failed. The same call goes on after an interruption.

    Runs whose data set is not there are left out, with a line about it; UserError if no data set is there, if one is
    another than the networks need, if another process works on the same results, and if a GPU cannot be used.
    """
    require_snakemake()
    require_gpus(order.machines.gpus, order.machines.is_local)
    todo = _with_data(order, [training for training in order.plan.trainings if not order.is_done(training)])
    taken = f"{order.folder}: another `caffe-acu reproduce` works there: wait for it, or choose another --results"
    with locked(order.folder / _LOCK, taken):
        if not order.machines.is_local:
            _require_no_jobs(order, todo)
        differences: dict[str, None] = {}
        for training in order.plan.trainings:
            if training in todo or (order.is_done(training) and order.has_data(training)):
                folder = prepare_run(order.folder, training, order.choices)  # also checks what is done
                differences[read_settings(folder).differs] = None
                if training in todo:
                    (folder / RUN_LOG).unlink(missing_ok=True)  # of an earlier call
        print(summary(order, todo), flush=True)
        for differs in filter(None, differences):
            print(f"not comparable with the paper: {differs}", flush=True)
        config = write_workflow(order.folder, order.plan, order.choices.scale, todo, order.machines)
        log = order.folder / order.plan.table.paper / f"{order.plan.id}.log"
        workflow = Workflow(snakemake_command(order.folder, config, order.machines), log)
        try:
            code = watch(order.folder, todo, workflow.poll, sys.stdout.isatty())
        except KeyboardInterrupt:
            print("stopping: what is at work writes a snapshot; the same command goes on", file=sys.stderr, flush=True)
            raise
        finally:
            workflow.stop()
    return _report(order, todo, code, log)


def _require_no_jobs(order: Order, todo: list[Training]) -> None:
    """Of a call that was killed; a job would find its run taken, after a while in the queue."""
    for training in todo:
        folder = order.folder / training.folder
        if is_locked(folder / RUN_LOCK):
            raise UserError(f"{folder}: a job of an earlier call trains it: wait for that, or cancel it (scancel)")


def _with_data(order: Order, trainings: list[Training]) -> list[Training]:
    absent = {training.model.data for training in trainings if not order.has_data(training)}
    left = [training for training in trainings if training.model.data not in absent]
    if len(absent) == len({training.model.data for training in order.plan.trainings}):
        raise UserError(missing_data(order, trainings[0].model.data))
    for data in {data_name(data): data for data in absent}.values():
        print(f"not run, for want of data: {missing_data(order, data)}", flush=True)
    return left


def missing_data(order: Order, data: DataSet) -> str:
    """How to make a data set that is not there."""
    return missing(data, data_folder(data, order.data))


def summary(order: Order, todo: list[Training]) -> str:
    """What is left to do, and on what, in a line."""
    remark = remark_of(order.choices.scale)
    title = f"{order.plan.title}, {remark}" if remark else order.plan.title
    total, machines = len(order.plan.trainings), order.machines
    where = f"GPUs {', '.join(map(str, machines.gpus))}" if machines.gpus else f"{machines.threads} threads"
    at_once = f"{machines.at_once} at a time on {where}" if machines.is_local else f"by {machines.executor}"
    each = f" ({machines.gpus_per_run} GPUs for each)" if machines.gpus_per_run > 1 else ""
    return f"{title}: {len(todo)} of {total} runs to do, {at_once}{each}; in {order.folder}"


def _report(order: Order, todo: list[Training], code: int, log: Path) -> int:
    failed = [training for training in todo if not order.is_done(training)]
    for training in failed:
        folder = order.folder / training.folder
        print(f"{folder}: not done: {failure(folder) or _silent(folder, log)}", file=sys.stderr)
    if code != 0 and not failed:
        raise UserError(f"{log}: Snakemake failed: {_last_line(log)}")
    for path in sorted(log.parent.glob(f"{log.stem}.*")):
        if path != log:
            print(path)
    done = sum(map(order.is_done, order.plan.trainings))
    print(f"{done} of {len(order.plan.trainings)} runs done")
    return 1 if failed else 0


def _silent(folder: Path, log: Path) -> str:
    """Why a run that failed may have said nothing."""
    return "the disk is full" if shutil.disk_usage(folder).free < _FULL_BYTES else f"{log} may say why"


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"
