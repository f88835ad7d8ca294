"""The results of a table: what our runs gave, beside what the paper prints."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import command_line, describe_environment, hardware, without_folders
from caffe_acu.reproduce.records import RunRecord, find_runs, remark_of
from caffe_acu.reproduce.statistics import Sample, gain
from caffe_acu.reproduce.tables import Comparison, PaperTable, Row, model_of

_OF_ONE_RUN = ("date", "seed")  # in env.json, which tell nothing about where it ran


def results_folder(results: Path, scale: int = 1) -> Path:
    """Where runs and tables of a scale stand below a folder of results, so that scales never mix."""
    return results if scale == 1 else results / f"scaled-{scale}"


@dataclass
class TableRuns:
    """The runs of a table's networks that are there.

    Attributes:
        folder: in which those of this scale stand.
        by_model: all that were begun, by the folder below ``models/``.
        notes: a line for everything that was left out.
    """

    table: PaperTable
    scale: int
    folder: Path
    by_model: dict[str, list[RunRecord]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def errors(self, row: Row, model: str) -> dict[int, float]:
        """Percent, by seed, of the runs of a network that are done, tested as the row says."""
        found = {}
        for run in self.by_model[model]:
            if run.done:
                try:
                    found[run.seed] = run.test_error(row.top, row.crops)
                except UserError as error:
                    self.note(str(error))
        return found

    def remark(self, runs: Iterable[RunRecord]) -> str:
        """Why what these runs gave is not comparable with the paper's; "" if it is."""
        found = dict.fromkeys(run.remark for run in runs)
        return "; ".join(filter(None, found)) or remark_of(self.scale)

    def remark_of_results(self, *models: str) -> str:
        """The same of the runs of networks that are done."""
        return self.remark(run for model in models for run in self.by_model[model] if run.done)

    def note(self, line: str) -> None:
        line = self.publishable(line)
        if line not in self.notes:
            self.notes.append(line)

    def publishable(self, line: str) -> str:
        """A message without the place of the results on this machine."""
        return line.replace(f"{self.folder}/", "")

    @property
    def runs(self) -> list[RunRecord]:
        return [run for runs in self.by_model.values() for run in runs]


def read_runs(table: PaperTable, results: Path, scale: int = 1) -> TableRuns:
    """The runs below ``results_folder(results, scale)`` that belong to the table, at that scale."""
    found = TableRuns(table, scale, results_folder(results, scale))
    for model in table.models:
        runs, foreign = find_runs(found.folder, model.folder)
        for line in foreign:
            found.note(line)
        found.by_model[model.folder] = []
        for run in runs:
            if run.scale != scale:
                found.note(f"{run.folder}: of scale {run.scale}, not {scale}: was it copied here? Left out")
            elif scale == 1 and run.max_iter != model.schedule.settings["max_iter"]:
                planned = model.schedule.settings["max_iter"]
                found.note(f"{run.folder}: {run.max_iter:,} iterations, not the paper's {planned:,}; left out")
            else:
                found.by_model[model.folder].append(run)
    return found


def other_scales(runs: TableRuns, results: Path) -> list[int]:
    """Those, scaled, of which there are runs of the same table below ``results``."""
    names = (re.fullmatch(r"scaled-([1-9]\d*)", path.name) for path in results.glob("scaled-*"))
    scales = sorted({int(name[1]) for name in names if name} - {runs.scale})
    return [scale for scale in scales if any(read_runs(runs.table, results, scale).by_model.values())]


def table_results(runs: TableRuns, seeds: int | None = None, command: str | None = None) -> dict[str, Any]:
    """All that is known of the table, for JSON.

    ``seeds``: how many runs make a row done, if not as many as the paper averaged. ``command``: that made the runs and
    the table, if not the one in progress. A row of differences ("improvement
    over Base, points") has a value for each of its own runs, measured from the mean over all runs of the other
    network, so its standard deviation is that of its own runs; comparisons have the standard error of both.
    """
    table = runs.table
    rows = [_row(runs, row, seeds) for row in table.rows]
    comparisons = [_comparison(runs, comparison) for comparison in table.comparisons]
    environments = _environments(runs)
    here = describe_environment()
    return {
        "paper": table.paper,
        "table": table.id,
        "title": table.title,
        "scale": runs.scale,
        "remark": runs.remark(runs.runs),
        "notes": [*_mixtures(runs, environments), *runs.notes],
        "command": command or command_line(),
        "date": here["date"],
        "commit": here["commit"],
        "rows": rows,
        "comparisons": comparisons,
        "environments": environments,
    }


def _row(runs: TableRuns, row: Row, seeds: int | None) -> dict[str, Any]:
    printed = row.printed
    own = runs.errors(row, printed.model)
    ours, finished = None, len(own)
    if row.reference:
        measured_from = runs.errors(row, row.reference)
        finished = min(finished, len(measured_from))
        if finished:
            ours = _ours(own, [Sample(tuple(measured_from.values())).mean - error for error in own.values()])
    elif own:
        ours = _ours(own, [row.value(error) for error in own.values()])
    count = row.model.counted_by(printed.counted_by)
    return {
        "row": printed.row,
        "dataset": printed.dataset,
        "metric": printed.metric,
        "model": printed.model,
        "paper_value": printed.value,
        "paper_std": printed.std,
        "paper_runs": printed.runs,
        "ours": ours,
        "difference": ours["mean"] - printed.value if ours else None,
        "params": count.parameters,
        "madds": count.multiply_adds,
        "status": _status(runs, row, finished, seeds or row.runs),
        "remark": runs.remark_of_results(*filter(None, (row.reference, printed.model))),
    }


def _ours(by_seed: Iterable[int], values: Sequence[float]) -> dict[str, Any]:
    sample = Sample(tuple(values))
    return {"mean": sample.mean, "std": sample.std, "n": sample.n, "seeds": list(by_seed), "values": list(values)}


def _status(runs: TableRuns, row: Row, finished: int, wanted: int) -> str:
    """ "done", "not run", or what there is and what became of the rest: "2 of 5 runs, stopped at iteration 700"."""
    if finished >= wanted:
        return "done"
    unfinished = _unfinished(runs, runs.by_model[row.printed.model])
    if not finished and not unfinished and row.reference and runs.errors(row, row.printed.model):
        unfinished = "what it is measured from is not run"
    count = f"{finished} of {wanted} runs" if finished else ""
    return ", ".join(filter(None, (count, unfinished))) or "not run"


def _unfinished(runs: TableRuns, of_row: list[RunRecord]) -> str:
    """What the runs of a network do that are not done: work, if any does, else that one failed, or stopped."""
    states = {run.status: run for run in reversed(of_row)}
    if states.keys() & {"running", "testing"}:
        return "running"
    for status in ("failed", "stopped"):
        if status in states:
            try:
                return f"{status} at iteration {states[status].iteration:,}"
            except UserError as error:  # of a damaged metrics.csv
                runs.note(str(error))
                return status
    return ""


def _comparison(runs: TableRuns, comparison: Comparison) -> dict[str, Any]:
    base, acu = comparison.base, comparison.acu
    errors = [runs.errors(acu, row.printed.model) for row in (base, acu)]
    compared: dict[str, Any] = {
        "base": base.name,
        "acu": acu.name,
        "base_model": base.printed.model,
        "acu_model": acu.printed.model,
        "dataset": acu.printed.dataset,
        "metric": acu.printed.metric,
        "paper_gain": comparison.paper_gain,
        "our_gain": None,
        "standard_error": None,
        "significant": None,
        "remark": "not run",
    }
    if all(errors):
        ours = gain(*(Sample(tuple(by_seed.values())) for by_seed in errors))
        compared |= {
            "our_gain": ours.points,
            "standard_error": ours.standard_error,
            "significant": ours.significant,
            "remark": ours.remark,
        }
    if not_comparable := runs.remark_of_results(base.printed.model, acu.printed.model):
        compared["remark"] += f" ({not_comparable})"
    return compared


def _environments(runs: TableRuns) -> list[dict[str, Any]]:
    """Of all runs, each kind once: that of its first run."""
    kinds: dict[str, dict[str, Any]] = {}
    for run in runs.runs:
        if run.status == "waiting":
            continue
        try:
            environment = run.environment()
        except UserError as error:
            runs.note(str(error))
            continue
        lasting = {name: value for name, value in environment.items() if name not in _OF_ONE_RUN}
        kinds.setdefault(json.dumps(lasting, sort_keys=True), environment)
    return list(kinds.values())


def _mixtures(runs: TableRuns, environments: list[dict[str, Any]]) -> list[str]:
    """What the runs do not have in common, or not with the paper's."""
    notes = []
    commits = dict.fromkeys(str(environment.get("commit", "unknown")) for environment in environments)
    if len(commits) > 1:
        notes.append(f"runs of {len(commits)} commits: {', '.join(commits)}")
    machines = dict.fromkeys(_machine(environment) for environment in environments)
    if len(machines) > 1:
        notes.append(f"runs on {len(machines)} kinds of hardware: {' | '.join(machines)}")
    return [*notes, *_mixed_data(runs)]


def _mixed_data(runs: TableRuns) -> list[str]:
    """A line for every data set that the runs have from several folders."""
    folders: dict[str, dict[str, None]] = {}
    for run in runs.runs:
        folders.setdefault(model_of(run.model).data.name, {})[without_folders(run.data)] = None
    return [
        f"runs on several copies of {name}: {', '.join(found)}" for name, found in folders.items() if len(found) > 1
    ]


def _machine(environment: dict[str, Any]) -> str:
    try:
        return hardware(environment)
    except (KeyError, TypeError):
        return "unknown"
