"""The results as Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any

from shapes import (
    BUSY_NETS,
    CANDIDATES,
    DENSE,
    DENSE_TARGETS,
    DEPTHWISE,
    DEPTHWISE_TARGETS,
    NET_BATCH,
    NET_TARGETS,
    NETS,
    PASSES,
    Target,
)

from caffe_acu.experiments.environment import hardware

NOTHING = "-"


def markdown(result: dict[str, Any]) -> str:
    parts = [
        "# Benchmark",
        _about(result),
        _summary(result),
        *_layers(result["layers"]),
        _training(result["training"]),
        _busy(result["busy"]),
        _memory(result["memory"]),
        _notes(result["notes"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Columns from ``left`` on are aligned to the right."""
    rule = ["---" if i < left else "---:" for i in range(len(header))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, rule, *rows))


def origin(result: dict[str, Any]) -> list[str]:
    """Where a result comes from, in lines."""
    environment = result["environment"]
    return [
        f"command: `{result['command']}`",
        f"commit: {environment['commit']}",
        f"hardware: {hardware(environment)}",
        f"date: {environment['date']}",
        f"system: {environment['system']}",
    ]


def _about(result: dict[str, Any]) -> str:
    lines = [
        *origin(result),
        *(f"{name}: {version}" for name, version in result["versions"].items()),
        f"{result['rounds']} rounds, interleaved",
    ]
    if result["other_processes_cores"] is not None:
        lines.append(f"cores that other processes held meanwhile, on average: {result['other_processes_cores']:.2f}")
    return "\n".join(f"- {line}" for line in lines)


def _summary(result: dict[str, Any]) -> str:
    """How often each target was met."""
    groups: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for row in result["layers"]:
        kind = "depthwise, " if row["depthwise"] else ""
        for judged in row["ratios"]:
            key = (kind + row["pass"], _ratio_label(judged["ratio"], CANDIDATES), judged["limit"])
            groups.setdefault(key, []).append(judged)
    for row in result["training"]:
        for judged in row["ratios"]:
            key = ("training iteration", _ratio_label(judged["ratio"], NETS), judged["limit"])
            groups.setdefault(key, []).append(judged)
    rows = []
    for (what, label, limit), judged in groups.items():
        if limit:
            met = sum(bool(one["met"]) for one in judged)
            worst = max(one["value"] for one in judged)
            rows.append([what, label, limit, f"{met} of {len(judged)}", number(worst)])
    if not rows:
        return ""
    return "## Targets\n\n" + table(["measured", "time of ours / peer", "target", "met", "worst"], rows, left=3)


def _layers(rows: list[dict[str, Any]]) -> list[str]:
    parts = []
    families = (
        (False, "3x3 layers", DENSE, DENSE_TARGETS),
        (True, "Depthwise 3x3 layers", DEPTHWISE, DEPTHWISE_TARGETS),
    )
    for depthwise, title, candidates, targets in families:
        for pass_ in PASSES:
            chosen = [row for row in rows if row["depthwise"] == depthwise and row["pass"] == pass_]
            if chosen:
                parts.append(f"## {title}, {pass_}\n\n" + _layer_table(chosen, candidates, targets[pass_]))
    return parts


def _layer_table(rows: list[dict[str, Any]], candidates: Sequence[str], targets: Sequence[Target]) -> str:
    header = ["layer", "batch", "threads"]
    header += [f"{CANDIDATES[name][1]} (ms)" for name in candidates]
    header += [_target_header(target, CANDIDATES) for target in targets]
    body = []
    for row in rows:
        times = [milliseconds(row["median_ms"].get(name)) for name in candidates]
        ratios = [_judged_cell(row["ratios"], target) for target in targets]
        body.append([row["layer"], str(row["shape"]["batch"]), str(row["threads"]), *times, *ratios])
    return table(header, body)


def _training(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        times = [[NETS[net][1], milliseconds(ms)] for net, ms in row["median_ms"].items()]
        ratios = [[_target_header(target, NETS), _judged_cell(row["ratios"], target)] for target in NET_TARGETS]
        parts.append(
            f"## Training iteration of the plain network, batch {NET_BATCH}, {row['threads']} threads\n\n"
            + table(["network", "ms"], times)
            + "\n\n"
            + table(["ratio", "value"], ratios)
        )
    return "\n\n".join(parts)


def _busy(rows: list[dict[str, Any]]) -> str:
    parts = []
    for row in rows:
        body = []
        for net in BUSY_NETS:
            if net in row["slowdown"]:
                alone, beside = row["alone"]["median_ms"][net], row["beside"]["median_ms"][net]
                body.append([NETS[net][1], milliseconds(alone), milliseconds(beside), number(row["slowdown"][net])])
        parts.append(
            f"## The same with {row['threads']} threads beside {row['busy_loops']} busy processes\n\n"
            + table(["network", "alone (ms)", "beside (ms)", "slowdown"], body)
            + "\n\nHalf of every core is left, so about 2 is to be expected of who does not spin."
        )
    return "\n\n".join(parts)


def _memory(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    names = ("acu", "conv", "stock")
    body = []
    for row in rows:
        cells = [row["layer"], str(row["threads"]), _mebibytes(row["bound_bytes"])]
        for name in names:
            growth = row["growth_bytes"].get(name)
            cells.append(_mebibytes(growth["first"]) if growth else NOTHING)
        acu = row["growth_bytes"].get("acu")
        cells.append(number(acu["first"] / row["bound_bytes"]) if acu else NOTHING)
        body.append(cells)
    header = ["layer", "threads", "threads x K C H' W' floats"]
    header += [CANDIDATES[name][1] for name in names] + ["ACU / floats"]
    return (
        "## Memory: growth of the peak in a first pass forward and backward (MiB)\n\n"
        + table(header, body)
        + "\n\nBlobs and their gradients are not in it; what BLAS and the threads take at first use is."
    )


def _notes(notes: list[str]) -> str:
    return "## Notes\n\n" + "\n".join(f"- {note}" for note in notes) if notes else ""


def _ratio_label(key: str, labels: dict[str, tuple[str, str]]) -> str:
    ours, _, peer = key.partition("/")
    return f"{labels[ours][1]} / {labels[peer][1]}"


def _target_header(target: Target, labels: dict[str, tuple[str, str]]) -> str:
    label = _ratio_label(target.key, labels)
    return f"{label} ({target.limit_text()})" if target.limit else label


def _judged_cell(ratios: list[dict[str, Any]], target: Target) -> str:
    for judged in ratios:
        if judged["ratio"] == target.key:
            verdict = {True: " met", False: " **missed**", None: ""}[judged["met"]]
            return number(judged["value"]) + verdict
    return NOTHING


def number(value: float) -> str:
    """Two decimals, or three where the value is small, as it is for ten times faster."""
    return f"{value:.2f}" if value >= 0.2 else f"{value:.3f}"


def milliseconds(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _mebibytes(value: float) -> str:
    return f"{value / 2**20:.1f}"
