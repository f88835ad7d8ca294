"""The trial's report: every step with what came of it, and every target as met, missed or not run."""

import json
from collections.abc import Iterable
from typing import Any

from gpu_report import layer_tables, measured_with, notes, summary, target_table
from gpu_targets import judge
from report import NOTHING, table
from trial_kit import Kit
from trial_steps import NOT_RUN, Options

from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import hardware, without_folders
from caffe_acu.net_param import write_atomically
from caffe_acu.training_log import read_training_log

DETAILS = "## Targets, one by one"  # from here on

Record = dict[str, Any]


def write_report(options: Options, kit: Kit, records: dict[str, Record | None]) -> str:
    """Writes report.md and report.json into the trial's folder; returns the text of the former."""
    result = benchmark_result(options, records)
    rows = judge(result)
    parts = [
        "# Trial on a GPU" if _on_gpu(records) else "# The trial for GPUs, tried out on the CPU: no result",
        _about(kit, result, records),
        "## Steps\n\n" + _steps(records),
        "## Targets\n\n" + summary(rows),
        f"{DETAILS}\n\n" + target_table(rows),
        *_tests("tests", records, "Tests"),
        *_tests("sanitize", records, "compute-sanitizer on our layers' tests"),
        *layer_tables(result),
        notes(result),
        _training(options, records),
    ]
    text = "\n\n".join(part for part in parts if part) + "\n"
    write_atomically(options.out / "report.md", text)
    whole = {"steps": records, "targets": rows, "benchmark": result, "kit": kit.about}
    write_atomically(options.out / "report.json", json.dumps(whole, indent=1) + "\n")
    return text


def benchmark_result(options: Options, records: dict[str, Record | None]) -> dict[str, Any]:
    """What gpu_targets.judge takes: the benchmark's file, if there is one, with the times of training."""
    empty = {"layers": {}, "checks": {}, "iterations": {}, "copy_gb_per_s": None, "device": {}, "versions": {}}
    result = json.loads(options.bench.read_text()) if options.bench.is_file() else empty
    alone = records["alone"]
    times = alone["found"] if alone and alone["status"] == "done" else {}
    return {**result, "training": {"alone": times, "not_run": (alone or {}).get("reason", "")}}


def _on_gpu(records: dict[str, Record | None]) -> bool:
    begun = [record for record in records.values() if record]
    return not begun or all(record["chosen"]["gpu"] >= 0 for record in begun)


def _about(kit: Kit, result: dict[str, Any], records: dict[str, Record | None]) -> str:
    begun = [record for record in records.values() if record]
    lines = [f"kit: {name}: {value}" for name, value in kit.about.items() if isinstance(value, str)]
    # Pieces may have run on several machines.
    lines += _each("command", (f"`{record['command']}`" for record in begun))
    lines += _each("commit", (record["environment"]["commit"] for record in begun))
    lines += _each("hardware", (hardware(record["environment"]) for record in begun))
    lines += _each("system", (record["environment"]["system"] for record in begun))
    lines += measured_with(result)
    return "\n".join(f"- {line}" for line in lines)


def _each(name: str, values: Iterable[str]) -> list[str]:
    return [f"{name}: {value}" for value in dict.fromkeys(values)]


def _steps(records: dict[str, Record | None]) -> str:
    body = []
    for name, record in records.items():
        if record is None:
            body.append([name, NOT_RUN, NOTHING, NOTHING])
            continue
        status = record["status"] + (f": {without_folders(record['reason'])}" if record["reason"] else "")
        body.append([name, status, record["environment"]["date"], f"{record['seconds']:.0f}"])
    return table(["step", "status", "last begun", "seconds"], body, left=3)


def _tests(step: str, records: dict[str, Record | None], title: str) -> list[str]:
    record = records[step]
    if record is None or not record["found"]:
        reason = (record or {}).get("reason", "")
        return [f"## {title}\n\n{NOT_RUN}{': ' if reason else ''}{reason}"]
    body, details = [], []
    for what, found in record["found"].items():
        counts = ", ".join(f"{count} {status}" for status, count in sorted(found["counts"].items()))
        missing = found["tests"] - sum(found["counts"].values())
        if missing:
            counts += f"{', ' if counts else ''}{missing} {NOT_RUN}"
        counts += "".join(f"; refused by the device: {line}" for line in found.get("refused", []))
        body.append([what, str(found["tests"]), counts])
        for name, result in found["bad"].items():
            output = "\n".join(result.get("output", []))
            details.append(f"{what}: {name}: {result['status']}" + (f"\n\n```\n{output}\n```" if output else ""))
    return [f"## {title}\n\n" + table(["what", "tests", "results"], body, left=3), *details]


def _training(options: Options, records: dict[str, Record | None]) -> str:
    path = options.training / "report.md"
    if path.is_file():
        # One level down, and its figures lie in its folder.
        return "#" + path.read_text().strip().replace("](", f"]({options.training.name}/")
    logs = sorted(options.training.glob("*/train.log"))
    if not logs:
        reason = (records["train"] or {}).get("reason", "")
        return f"## Training\n\n{NOT_RUN}{': ' if reason else ''}{reason}"
    body = []
    for path in logs:
        try:
            log = read_training_log(path)
        except UserError:
            continue
        loss = f"{log.loss[-1]:.3f}" if len(log.loss) else NOTHING
        error = f"{log.test_error[-1]:.2f}" if len(log.test_error) else NOTHING
        body.append([path.parent.name, str(log.iterations[-1]) if len(log.iterations) else NOTHING, loss, error])
    header = ["network", f"iteration of {options.iterations}", "training loss", "test error then (%)"]
    return "## Training, as far as it is\n\n" + table(header, body)
