"""The ``readme.md`` of a network, in the habit of Caffe's model zoo: front matter in YAML, then text for people."""

import json
from collections.abc import Iterable
from pathlib import Path

from caffe_acu.nets.model import APPLY, Model
from caffe_acu.nets.schedules import CIFAR_ITERATIONS
from caffe_acu.papers.our_results import NOT_RUN, OurResults
from caffe_acu.papers.printed import TITLES, Printed


def model_page(model: Model, ours: OurResults = OurResults()) -> str:
    parts = _front_matter(model, ours), [f"# {model.title}", ""], _text(model), _results(model, ours), _how(model)
    return "\n".join(line for part in parts for line in part)


def _front_matter(model: Model, ours: OurResults) -> list[str]:
    rows = model.printed
    trained = _unique(cell for row in rows if (cell := ours.cell(row)) != NOT_RUN)
    fields = {
        "name": model.title,
        "paper": TITLES[model.paper],
        "table": _unique(row.place for row in rows),
        "rows": _unique(row.row for row in rows),
        "params": model.count.parameters,
        "params_printed": _unique(row.params for row in rows),
        "madds": model.count.multiply_adds,
        "madds_printed": _unique(row.madds for row in rows),
        "expected": [f"{row.result}, {row.dataset}" for row in rows],
        "status": f"trained here: {'; '.join(trained)}" if trained else "not trained here",
    }
    # JSON is YAML.
    return ["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in fields.items()), "---"]


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(filter(None, values)))


def _text(model: Model) -> list[str]:
    assumed = [*model.assumed, *model.data.assumed, *_solver_assumptions(model)]
    if not assumed:
        return [model.text, ""]
    return [model.text, "", "Assumed, because the paper does not print it:", "", *(f"- {one}" for one in assumed), ""]


def _solver_assumptions(model: Model) -> list[str]:
    return [f"`{name}` of the solver: {reason}" for name, reason in model.schedule.assumed.items()]


def _results(model: Model, ours: OurResults) -> list[str]:
    if not model.printed:
        return []
    lines = ["| printed in | row | data | paper | ours |", "|---|---|---|---|---|"]
    lines += [f"| {row.place} | {row.row} | {row.dataset} | {row.result} | {ours.cell(row)} |" for row in model.printed]
    return [*lines, *_remarks(model.printed), ""]


def _remarks(rows: Iterable[Printed]) -> list[str]:
    notes = _unique(row.note for row in rows)
    return ["", *(f"Remark: {note}." for note in notes)] if notes else []


def _how(model: Model) -> list[str]:
    folder = f"models/{model.folder}"
    commands, weights = [model.data.command], ""
    if model.start:
        trained = f"models/{model.start.trained}/{Path(model.start.trained).name}_iter_{CIFAR_ITERATIONS}.caffemodel"
        net = f" --net {folder}/deploy.prototxt" if model.start.conversion == APPLY else ""
        commands.append(f"caffe-acu positions {model.start.conversion} {trained}{net} -o {folder}/start.caffemodel")
        weights = f" --weights {folder}/start.caffemodel"
    last = f"{folder}/{model.name}_iter_{model.schedule.settings['max_iter']}.caffemodel"
    crops = " --crops 10" if any("10-crop" in row.metric for row in model.printed) else ""
    commands += [
        f"caffe train --solver {folder}/solver.prototxt{weights}",
        f"caffe-acu evaluate {folder}/train_val.prototxt {last}{crops}",
    ]
    lines = [
        "To train and test, from the root of the repository "
        "([on a GPU, interrupted, quickly](../../README.md#how-to-train)):",
        "",
        *(f"    {command}" for command in commands),
        "",
    ]
    if model.start:
        lines += [f"It starts from: {model.start.text}", ""]
    if model.data.remark:
        lines += [model.data.remark, ""]
    return lines
