"""caffe_acu.torch.ActiveConv2d against plain convolutions, other ways to sample, and Caffe's own layer.

    .venv/bin/python benchmarks/torch_layer.py [--threads N] [--rounds N] [--deform-python PATH] [--out PATH]

Needs PyTorch in the project's environment (scripts/setup.sh --torch), or another Python that has it. torchvision's
deform_conv2d needs a build of it for the CPU, which may be in an environment with another PyTorch: so the convolution
of that one is measured as well. See README.md.
"""

import argparse
import json
import shlex
import sys
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

from interleaved import ratio, time_candidates
from others import OtherProcesses, note
from outcome import exit_code
from protocol import Refused, Worker, WorkerError
from report import NOTHING, milliseconds, number, origin, table
from sections import prepare_layer
from shapes import CAFFE, PASSES, TORCH, LayerCase, depthwise
from tqdm import tqdm
from workers import caffe_worker, torch_worker

from caffe_acu.experiments.environment import describe_environment
from caffe_acu.net_param import write_atomically

_DEFORM = "deform"  # the worker that has torchvision
_CASES = (
    LayerCase("dense", 32, 64, 64, 32, moved=0),  # as every training starts
    LayerCase("dense", 32, 64, 64, 32),
    LayerCase("dense", 32, 64, 64, 32, moved=3),
    LayerCase("dense", 32, 64, 64, 32, spread=6),
    LayerCase("dense", 32, 64, 128, 32, stride=2),
    LayerCase("grouped", 32, 128, 128, 28, group=32),
    depthwise("depthwise", 32, 128, 28),
    LayerCase("depthwise", 32, 128, 128, 28, group=128, moved=3),
    LayerCase("depthwise", 32, 128, 128, 28, group=128, spread=6),
)
# Where they run, and what the table calls them.
_CANDIDATES = {
    "active": (TORCH, "ActiveConv2d"),
    "torch": (TORCH, "Conv2d 3x3"),
    "dense": (TORCH, "to_conv2d()"),
    "grid": (TORCH, "grid_sample"),
    "acu": (CAFFE, "Caffe's ACU"),
    "deform": (_DEFORM, "deform_conv2d"),
    "plain": (_DEFORM, "Conv2d 3x3 of the same"),
}
_SAME = (("active", "acu"), ("grid", "acu"), ("deform", "acu"))
_RATIOS = (*(("active", peer) for peer in ("torch", "dense", "grid", "acu", "deform")), ("deform", "plain"))


def main() -> int:
    options = _options()
    return exit_code(lambda: _run(options), WorkerError, Refused)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=7, help="samples of each candidate (default: %(default)s)")
    parser.add_argument("--torch-python", type=Path, default=Path(sys.executable), help="a Python that has PyTorch")
    parser.add_argument("--deform-python", type=Path, help="one that has torchvision too; without, it is not measured")
    parser.add_argument("--only", default="", metavar="TEXT", help="layers with this in their name")
    parser.add_argument("--out", type=Path, metavar="PATH", help="results go to PATH.md and PATH.json")
    return parser.parse_args()


def _run(options: argparse.Namespace) -> None:
    cases = [case for case in _CASES if options.only in case.name]
    record: dict[str, Any] = {
        "command": shlex.join(["benchmarks/torch_layer.py", *sys.argv[1:]]),
        "environment": describe_environment(),
        "rounds": options.rounds,
        "threads": options.threads,
        "rows": [],
        "notes": [],
    }
    others = OtherProcesses()
    with ExitStack() as stack:
        workers = {
            CAFFE: stack.enter_context(caffe_worker(options.threads)),
            TORCH: stack.enter_context(torch_worker(options.threads, options.torch_python)),
        }
        if options.deform_python:
            workers[_DEFORM] = stack.enter_context(torch_worker(options.threads, options.deform_python))
        record["versions"] = {name: worker.ask("hello") for name, worker in workers.items()}
        with tqdm(total=len(cases) * len(PASSES) * options.rounds, unit="round", disable=None) as bar:
            for case in cases:
                bar.set_description(case.name)
                rows, notes = _measure(case, workers, options.rounds, bar)
                record["rows"] += rows
                record["notes"] += [line for line in notes if line not in record["notes"]]
    record["other_processes_cores"] = others.cores()
    record["notes"][:0] = note(record["other_processes_cores"])
    text = _markdown(record)
    print(text, end="")
    if options.out:
        write_atomically(options.out.with_suffix(".json"), json.dumps(record, indent=1) + "\n")
        write_atomically(options.out.with_suffix(".md"), text)


def _measure(
    case: LayerCase, workers: dict[str, Worker], rounds: int, bar: tqdm
) -> tuple[list[dict[str, Any]], list[str]]:
    there = {name: candidate for name, candidate in _CANDIDATES.items() if candidate[0] in workers}
    chosen, notes = prepare_layer(case, workers, there, _SAME)
    rows = []
    for pass_ in PASSES:
        samples = time_candidates(chosen, pass_, rounds, bar.update)
        rows.append(
            {
                "layer": case.name,
                "shape": asdict(case),
                "pass": pass_,
                "median_ms": {name: median(values) * 1e3 for name, values in samples.items()},
                "ratios": {
                    f"{ours}/{peer}": ratio(samples[ours], samples[peer])
                    for ours, peer in _RATIOS
                    if ours in samples and peer in samples
                },
                "samples_s": samples,
            }
        )
    for worker in workers.values():
        worker.ask("release")
    return rows, notes


def _markdown(record: dict[str, Any]) -> str:
    lines = [
        *origin(record),
        *(f"{place}: {_listed(versions)}" for place, versions in record["versions"].items()),
        f"{record['threads']} threads; {record['rounds']} rounds, interleaved; 3x3 taps, pad 1, no bias, float32",
    ]
    parts = ["# ActiveConv2d of caffe_acu.torch", "\n".join(f"- {line}" for line in lines)]
    measured = [name for name in _CANDIDATES if any(name in row["median_ms"] for row in record["rows"])]
    pairs = [pair for pair in _RATIOS if set(pair) <= set(measured)]
    labels = {name: label for name, (_, label) in _CANDIDATES.items()}
    for pass_ in PASSES:
        rows = [row for row in record["rows"] if row["pass"] == pass_]
        times = [[row["layer"], *(milliseconds(row["median_ms"].get(name)) for name in measured)] for row in rows]
        ratios = [[row["layer"], *(_cell(row["ratios"], pair) for pair in pairs)] for row in rows]
        parts += [
            f"## {pass_}, ms",
            table(["layer", *(labels[name] for name in measured)], times),
            f"## {pass_}, ratios of times",
            table(["layer", *(f"{labels[ours]} / {labels[peer]}" for ours, peer in pairs)], ratios),
        ]
    if record["notes"]:
        parts += ["## Notes", "\n".join(f"- {line}" for line in record["notes"])]
    return "\n\n".join(parts) + "\n"


def _listed(versions: dict[str, str]) -> str:
    return "; ".join(f"{name} {version}" for name, version in versions.items())


def _cell(ratios: dict[str, float], pair: tuple[str, str]) -> str:
    value = ratios.get("/".join(pair))
    return NOTHING if value is None else number(value)


if __name__ == "__main__":
    sys.exit(main())
