"""What is measured on a GPU, what is expected of it, and whether it was met. Standard library only."""

import math
from collections.abc import Iterator
from typing import Any

from shapes import BOTH, FORWARD, LAYERS, LayerCase, Target, depthwise

# The plain network's and the 29-layer network's 3x3 layers, those of the latter with stride 2 as well, and two more.
_DENSE = (
    *(case for case in LAYERS if not case.depthwise),
    LayerCase("29-layer", 128, 64, 64, 32, stride=2),
    LayerCase("29-layer", 128, 128, 128, 16, stride=2),
    LayerCase("wide", 32, 256, 256, 14),
    LayerCase("wide", 32, 512, 512, 7),
)
# The 29-layer network with 4 channels a group.
_GROUPED = tuple(
    LayerCase("29-layer-x4d", 128, width, width, size, group=width // 4)
    for width, size in ((64, 32), (128, 16), (256, 8))
)
GPU_LAYERS = (*_DENSE, *_GROUPED, *(case for case in LAYERS if case.depthwise))

# Compared with torchvision, with a bias. Small: what differs shows on few images.
CHECKS = (
    LayerCase("check", 4, 48, 48, 32),
    LayerCase("check", 4, 48, 96, 32, stride=2),
    LayerCase("check", 4, 256, 256, 14),
    LayerCase("check", 3, 64, 64, 17, group=16),
    LayerCase("check", 3, 64, 128, 16, stride=2, group=4),
    depthwise("check", 4, 64, 32),
    depthwise("check", 4, 96, 28, stride=2),
)
CHECK_TOLERANCE = 1e-4  # largest difference in units of the largest value

CANDIDATES = {
    "acu": "ACU",
    "conv": "Convolution",
    "torch": "PyTorch",
    "deform": "deform_conv2d",
    "dcls": "DCLS",
}
IN_CAFFE, IN_TORCH = ("acu", "conv"), ("torch", "deform", "dcls")

_THREE_TIMES_FASTER = 1 / 3
_TARGETS = {
    "dense": {
        FORWARD: (Target("acu", "conv", 1.25),),
        BOTH: (
            Target("acu", "conv", 1.5),
            Target("acu", "deform", _THREE_TIMES_FASTER),
            Target("acu", "dcls", _THREE_TIMES_FASTER),
        ),
    },
    "grouped": {},
    "depthwise": {BOTH: (Target("acu", "conv", 2.0),)},
}
BANDWIDTH = 0.6  # of a copy's, at least, in the forward pass of a depthwise ACU
ITERATION = Target("plain_acu", "plain", 1.3)
FULL_ITERATIONS, FULL_MINUTES = 64_000, 6.0

MET, MISSED, NOT_RUN = "met", "missed", "not run"

Row = dict[str, Any]


def kind(case: LayerCase) -> str:
    return "depthwise" if case.depthwise else "grouped" if case.group > 1 else "dense"


def judge(result: dict[str, Any]) -> list[Row]:
    """A row for every target: ``what``, ``measured``, ``limit``, ``value`` (or None), ``status``, ``reason``.

    ``result`` is what gpu_bench.py writes, with ``training`` where networks were trained. What is not in it is
    "not run", never met or missed.
    """
    return [*_layers(result), *_iterations(result), *_checks(result)]


def bandwidth_fraction(case: LayerCase, forward_ms: float, copy_gb_per_s: float) -> float:
    """Bytes of input and output over the time of the pass, as a fraction of the copy's bandwidth."""
    values = math.prod(case.input_shape) + math.prod(case.output_shape)
    return 4 * values / (forward_ms * 1e6) / copy_gb_per_s


def _row(what: str, measured: str, limit: str, value: float | None, met: bool | None, reason: str = "") -> Row:
    status = NOT_RUN if value is None else MET if met else MISSED
    return {
        "what": what,
        "measured": measured,
        "limit": limit,
        "value": value,
        "status": status,
        "reason": reason if value is None else "",
    }


def median_ms(layer: dict[str, Any], candidate: str, pass_: str) -> float | None:
    return layer.get("times_ms", {}).get(candidate, {}).get(pass_, {}).get("median")


def _layers(result: dict[str, Any]) -> Iterator[Row]:
    for case in GPU_LAYERS:
        layer = result.get("layers", {}).get(case.name, {})
        reasons = layer.get("not_run", {})
        for pass_, targets in _TARGETS[kind(case)].items():
            for target in targets:
                times = [median_ms(layer, name, pass_) for name in (target.ours, target.peer)]
                reason = next((reasons[name] for name in (target.ours, target.peer) if name in reasons), "")
                yield _ratio(case.name, f"{pass_}, {_label(target)}", target, times, reason)
        if case.depthwise:
            forward, copy = median_ms(layer, "acu", FORWARD), result.get("copy_gb_per_s")
            value = bandwidth_fraction(case, forward, copy) if forward and copy else None
            yield _row(
                case.name,
                "forward, bandwidth / copy's",
                f">= {BANDWIDTH:g}",
                value,
                value is not None and value >= BANDWIDTH,
                reasons.get("acu", ""),
            )


def _label(target: Target) -> str:
    return f"{CANDIDATES[target.ours]} / {CANDIDATES[target.peer]}"


def _ratio(what: str, measured: str, target: Target, times: list[float | None], reason: str) -> Row:
    value = times[0] / times[1] if times[0] and times[1] else None
    limit = "<= 1/3" if target.limit == _THREE_TIMES_FASTER else target.limit_text()
    return _row(what, measured, limit, value, value is not None and target.met(value), reason)


def _iterations(result: dict[str, Any]) -> Iterator[Row]:
    in_memory = result.get("iterations", {})
    training = result.get("training", {})
    of_training = {"plain_acu": {"not_run": training.get("not_run")}, **training.get("alone", {})}
    for where, nets in (("data in memory", in_memory), ("training on CIFAR-10", of_training)):
        times = [nets.get(net, {}).get("median") for net in (ITERATION.ours, ITERATION.peer)]
        reasons = [nets.get(net, {}).get("not_run") for net in (ITERATION.ours, ITERATION.peer)]
        reason = next(filter(None, reasons), "")
        yield _ratio("plain network, batch 64", f"iteration, {where}, ACU / plain", ITERATION, times, reason)
    per_iteration = training.get("alone", {}).get("plain_acu", {}).get("median")
    minutes = per_iteration * FULL_ITERATIONS / 60e3 if per_iteration else None
    yield _row(
        "plain ACU network",
        f"minutes for {FULL_ITERATIONS:,} iterations, from the time of one",
        f"< {FULL_MINUTES:g}",
        minutes,
        minutes is not None and minutes < FULL_MINUTES,
        training.get("not_run", ""),
    )


def _checks(result: dict[str, Any]) -> Iterator[Row]:
    checks = result.get("checks", {})
    for case in CHECKS:
        found = checks.get(case.name, {})
        errors = found.get("errors")
        # Python's max passes over a NaN that does not come first.
        value = None if not errors else max(errors.values(), key=lambda e: math.inf if math.isnan(e) else e)
        yield _row(
            case.name,
            "largest difference from torchvision",
            f"<= {CHECK_TOLERANCE:g}",
            value,
            value is not None and value <= CHECK_TOLERANCE,
            found.get("not_run", ""),
        )
