"""A table from data to results: prepares the runs, lets Snakemake do them, and says what happened."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caffe_acu.errors import UserError
from caffe_acu.nets.datasets import DataSet
from caffe_acu.reproduce.data_sets import data_folder, data_name, is_there, missing
from caffe_acu.reproduce.estimate import disk_bytes, kept_bytes, time_networks
from caffe_acu.reproduce.execute import DONE
from caffe_acu.reproduce.locks import locked
from caffe_acu.reproduce.plan import Plan, Training
from caffe_acu.reproduce.prepare_run import Choices, prepare_run
from caffe_acu.reproduce.progress import RUN_LOG, duration, failure, watch
from caffe_acu.reproduce.scale import scale_training
from caffe_acu.reproduce.workflow import Machines, Workflow, require_snakemake, snakemake_command, write_workflow

_LOCK = ".reproduce.lock"


@dataclass(frozen=True)
class Order:
    """What a user asks for: a table, how, where to, and on what."""

    plan: Plan
    choices: Choices
    results: Path
    machines: Machines

    @property
    def folder(self) -> Path:
        """Below which everything of this scale stands, so that scales are never mixed."""
        scale = self.choices.scale
        return self.results if scale == 1 else self.results / f"scaled-{scale}"

    @property
    def data(self) -> Mapping[str, Path]:
        return self.choices.data or {}

    def is_done(self, training: Training) -> bool:
        return (self.folder / training.folder / DONE).is_file()


def check_data_names(plan: Plan, chosen: Mapping[str, Path]) -> None:
    """UserError if a folder is given for a data set that the table does not use."""
    names = {data_name(model.data) for model in plan.models}
    for name in chosen:
        if name not in names:
            raise UserError(f"--data {name}=...: {plan.title} uses {', '.join(sorted(names))}")


def reproduce(order: Order) -> int:
    """Makes the table; returns 0, or 1 if a run failed. The same call goes on after an interruption.

    Runs whose data set is not there are left out, with a line about it; UserError if no data set is there, if one is
    another than the networks need, and if another process works on the same results.
    """
    require_snakemake()
    todo = _with_data(order, [training for training in order.plan.trainings if not order.is_done(training)])
    taken = f"{order.folder}: another `caffe-acu reproduce` works there: wait for it, or choose another --results"
    with locked(order.folder / _LOCK, taken):
        for training in todo:
            folder = prepare_run(order.folder, training, order.choices)
            (folder / RUN_LOG).unlink(missing_ok=True)  # of an earlier call
        print(_summary(order, todo), flush=True)
        config = write_workflow(order.folder, order.plan, todo, order.machines)
        log = order.folder / order.plan.paper / f"{order.plan.table}.log"
        workflow = Workflow(snakemake_command(order.folder, config, order.machines), log)
        try:
            code = watch(order.folder, todo, workflow.poll, sys.stdout.isatty())
        finally:
            workflow.stop()
    return _report(order, todo, code, log)


def _with_data(order: Order, trainings: list[Training]) -> list[Training]:
    sets = {training.model.data for training in trainings}
    absent = {data for data in sets if not is_there(data_folder(data, order.data))}
    if absent and absent == sets:
        raise UserError(_missing(order, next(training.model.data for training in trainings)))
    for data in sorted(absent, key=data_name):
        print(f"not run, for want of data: {_missing(order, data)}", flush=True)
    return [training for training in trainings if training.model.data not in absent]


def _missing(order: Order, data: DataSet) -> str:
    return missing(data, data_folder(data, order.data))


def _summary(order: Order, todo: list[Training]) -> str:
    scale = "" if order.choices.scale == 1 else f", scaled 1/{order.choices.scale}, not comparable"
    total, machines = len(order.plan.trainings), order.machines
    where = f"GPUs {', '.join(map(str, machines.gpus))}" if machines.gpus else f"{machines.threads} threads"
    at_once = f"{machines.at_once} at a time on {where}" if machines.is_local else f"by {machines.executor}"
    return f"{order.plan.title}{scale}: {len(todo)} of {total} runs to do, {at_once}; in {order.folder}"


def _report(order: Order, todo: list[Training], code: int, log: Path) -> int:
    failed = [training for training in todo if not order.is_done(training)]
    for training in failed:
        folder = order.folder / training.folder
        print(f"{folder}: not done: {failure(folder) or 'not started'}", file=sys.stderr)
    if code != 0 and not failed:
        raise UserError(f"{log}: Snakemake failed: {_last_line(log)}")
    done = sum(map(order.is_done, order.plan.trainings))
    print(f"{done} of {len(order.plan.trainings)} runs done")
    return 1 if failed else 0


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "it said nothing"


def dry_run(order: Order) -> list[str]:
    """What :func:`reproduce` would run, how long that takes, and what it needs on disk, in lines."""
    todo = [training for training in order.plan.trainings if not order.is_done(training)]
    models = list({training.model.folder: training.model for training in todo}.values())
    machines = order.machines
    times = time_networks(models, order.folder, machines.gpus[0] if machines.gpus else None, machines.threads)
    lines, seconds, unknown = [_summary(order, todo)], 0.0, False
    most, kept = [], 0
    for training in order.plan.trainings:
        net, solver = training.model.train_val(), training.model.schedule.message()
        scale_training(net, solver, order.choices.scale)
        per_iteration = times.get(training.model.folder)
        state = "done" if order.is_done(training) else "not known how long"
        if not order.is_done(training):
            most.append(disk_bytes(training.model, solver.max_iter, solver.display))
            kept += kept_bytes(training.model, solver.max_iter, solver.display)
            if per_iteration is None:
                unknown = True
            else:
                seconds += solver.max_iter * per_iteration / 1e3
                state = f"about {duration(solver.max_iter * per_iteration / 1e3)}"
        start = f", from {training.start.model.name} {training.start.folder.name}" if training.start else ""
        lines.append(
            f"  {training.model.name}, seed {training.seed}: {solver.max_iter:,} iterations{start}; {state}"
        )
    for data in sorted({model.data for model in models}, key=lambda data: data.command):
        folder = data_folder(data, order.data)
        lines.append(f"data: {folder} is there" if is_there(folder) else f"data: {_missing(order, data)}")
    if todo:
        lines.append(_total(machines, seconds, unknown))
        lines.append(f"disk: {kept / 1e9:.1f} GB when all is done, {max(most) / 1e9:.1f} GB for a run at work")
    return lines


def _total(machines: Machines, seconds: float, unknown: bool) -> str:
    if unknown:
        return "time: not known; a network could not be timed on this machine"
    shared = seconds / len(machines.gpus) if machines.gpus and machines.is_local else seconds
    return (
        f"time: about {duration(shared)} in all, without reading and tests: a few passes forward and backward of each "
        "network were timed on random images"
    )
