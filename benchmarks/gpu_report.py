"""What was measured on a GPU, as Markdown."""

from collections import Counter
from typing import Any

from gpu_targets import CANDIDATES, GPU_LAYERS, MET, MISSED, NOT_RUN, Row, bandwidth_fraction, judge, kind, median_ms
from report import NOTHING, milliseconds, number, origin, table
from shapes import FORWARD, PASSES, LayerCase


def markdown(result: dict[str, Any]) -> str:
    """``result`` as gpu_targets.judge takes it."""
    rows = judge(result)
    on_gpu = result["settings"]["gpu"] >= 0
    parts = [
        "# Benchmark on a GPU" if on_gpu else "# The benchmark for GPUs, tried out on the CPU: no result",
        about(result),
        "## Targets\n\n" + summary(rows),
        "## Targets, one by one\n\n" + target_table(rows),
        *layer_tables(result),
        notes(result),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def about(result: dict[str, Any]) -> str:
    return "\n".join(f"- {line}" for line in (*origin(result), *measured_with(result)))


def measured_with(result: dict[str, Any]) -> list[str]:
    """Versions, and what else the numbers depend on."""
    lines = [f"{name}: {value}" for name, value in {**result["device"], **result["versions"]}.items()]
    repetitions = result.get("settings", {}).get("repetitions")
    lines.append("float32, TF32 off" + (f"; medians of {repetitions} passes" if repetitions else ""))
    lines.append("Convolution: engine CUDNN, which leaves depthwise layers to this project's own kernels")
    if result["copy_gb_per_s"]:
        lines.append(f"copy in the device's memory: {result['copy_gb_per_s']:.0f} GB/s, bytes read and written")
    return lines


def summary(rows: list[Row]) -> str:
    """How often each target was met, missed and not run."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for row in rows:
        groups.setdefault((row["measured"], row["limit"]), Counter())[row["status"]] += 1
    body = [
        [measured, limit, *(str(counts[status]) for status in (MET, MISSED, NOT_RUN))]
        for (measured, limit), counts in groups.items()
    ]
    return table(["measured", "target", MET, MISSED, NOT_RUN], body, left=2)


def target_table(rows: list[Row]) -> str:
    body = []
    for row in rows:
        status = f"**{MISSED}**" if row["status"] == MISSED else row["status"]
        if row["reason"]:
            status += f": {row['reason']}"
        value = NOTHING if row["value"] is None else _value(row["value"])
        body.append([row["what"], row["measured"], row["limit"], value, status])
    return table(["what", "measured", "target", "value", "status"], body, left=3)


def _value(value: float) -> str:
    return number(value) if value >= 0.01 else f"{value:.1e}"


def layer_tables(result: dict[str, Any]) -> list[str]:
    titles = {"dense": "3x3 layers", "grouped": "Grouped 3x3 layers", "depthwise": "Depthwise 3x3 layers"}
    parts = []
    for family, title in titles.items():
        cases = [case for case in GPU_LAYERS if kind(case) == family and case.name in result["layers"]]
        for pass_ in PASSES if cases else ():
            parts.append(f"## {title}, {pass_} (ms)\n\n" + _layer_table(result, cases, pass_))
    return parts


def _layer_table(result: dict[str, Any], cases: list[LayerCase], pass_: str) -> str:
    with_bandwidth = pass_ == FORWARD and cases[0].depthwise and result["copy_gb_per_s"]
    header = ["layer", "batch", *CANDIDATES.values()]
    header += [f"ACU / {CANDIDATES[peer]}" for peer in CANDIDATES if peer != "acu"]
    header += ["bandwidth / copy's"] if with_bandwidth else []
    body = []
    for case in cases:
        layer = result["layers"][case.name]
        times = {name: median_ms(layer, name, pass_) for name in CANDIDATES}
        ours = times["acu"]
        cells = [case.name, str(case.batch), *(_microprecise(ms) for ms in times.values())]
        cells += [number(ours / ms) if ours and ms else NOTHING for name, ms in times.items() if name != "acu"]
        if with_bandwidth:
            cells.append(number(bandwidth_fraction(case, ours, result["copy_gb_per_s"])) if ours else NOTHING)
        body.append(cells)
    return table(header, body)


def _microprecise(ms: float | None) -> str:
    return f"{ms:.3f}" if ms is not None and ms < 1 else milliseconds(ms)


def notes(result: dict[str, Any]) -> str:
    lines = [
        f"{case}: {CANDIDATES[name]} was not run: {reason}"
        for case, layer in result["layers"].items()
        for name, reason in layer["not_run"].items()
    ]
    return "## Notes\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""
