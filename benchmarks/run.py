"""Measures caffe-acu against its peers; benchmarks/run.sh starts it. See README.md."""

import argparse
import json
import os
import re
import shlex
import sys
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

from others import OtherProcesses, note
from outcome import exit_code
from protocol import Refused, Worker, WorkerError
from report import markdown
from sections import measure_busy, measure_layer, measure_memory, measure_training
from shapes import CAFFE, LAYERS, MEMORY_LAYERS, PASSES, QUICK_LAYERS, TORCH, TORCH_KEPT
from tqdm import tqdm
from workers import caffe_worker, torch_worker

from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import describe_environment

_HERE = Path(__file__).resolve().parent
_NET_SECTIONS = {"training": measure_training, "busy": measure_busy}
_ROUNDS, _QUICK_ROUNDS = 7, 3


def main() -> int:
    options = _options()
    return exit_code(lambda: _run(options), WorkerError, Refused)


def _run(options: argparse.Namespace) -> None:
    if options.list:
        print("\n".join(_names(options)))
    else:
        _write(_measure(options), options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.sh", description="Times caffe-acu against its peers.")
    parser.add_argument("--quick", action="store_true", help="3 layers, 3 rounds: a look, not a result")
    parser.add_argument("--only", metavar="PATTERN", help="what has this regular expression in its name (see --list)")
    parser.add_argument("--list", action="store_true", help="list the names and stop")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="for layers; networks take the most")
    parser.add_argument("--rounds", type=int, help=f"samples of each candidate (default {_ROUNDS})")
    parser.add_argument("--out", type=Path, metavar="PATH", help="results go to PATH.md and PATH.json")
    parser.add_argument(
        "--peer-python",
        type=Path,
        default=Path(os.environ.get("BENCHMARK_PYTHON") or _HERE / ".venv/bin/python"),
        help="python that has PyTorch and DCLS (default: BENCHMARK_PYTHON, or the one that run.sh sets up)",
    )
    options = parser.parse_args()
    if options.rounds is None:
        options.rounds = _QUICK_ROUNDS if options.quick else _ROUNDS
    if options.rounds < 1 or min(options.threads) < 1:
        parser.error("--rounds and --threads must be positive")
    options.threads = sorted(set(options.threads))
    try:
        re.compile(options.only or "")
    except re.error as error:
        parser.error(f"--only {options.only}: not a regular expression: {error}")
    return options


def _names(options: argparse.Namespace) -> list[str]:
    layers = [case.name for case in LAYERS if not options.quick or case.name in QUICK_LAYERS]
    names = [*layers, *_NET_SECTIONS, *(case.name for case in MEMORY_LAYERS)]
    chosen = [name for name in names if re.search(options.only or "", name)]
    if not chosen:
        raise UserError(f"nothing has '{options.only}' in its name; --list shows the names")
    return chosen


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    names = _names(options)
    layers = [case for case in LAYERS if case.name in names]
    memory = [case for case in MEMORY_LAYERS if case.name in names]
    nets = {name: section for name, section in _NET_SECTIONS.items() if name in names}
    if not options.peer_python.is_file():
        raise UserError(f"{options.peer_python} is not there; benchmarks/run.sh sets it up")
    result: dict[str, Any] = {
        "command": shlex.join(["benchmarks/run.sh", *sys.argv[1:]]),
        "environment": describe_environment(),
        "versions": {},
        "rounds": options.rounds,
        "other_processes_cores": None,
        "layers": [],
        "training": [],
        "busy": [],
        "memory": [],
        "notes": [],
    }
    others = OtherProcesses()
    cores = result["environment"]["cores"]
    if max(options.threads) > cores:
        result["notes"].append(f"There are {cores} cores for {max(options.threads)} threads.")
    steps = options.rounds * (len(layers) * len(PASSES) * len(options.threads) + len(nets)) + len(memory) * len(
        options.threads
    )
    with tqdm(total=steps, unit="round", file=sys.stderr, disable=None) as bar:
        for threads in options.threads:
            with ExitStack() as stack:
                workers = _start(stack, threads, options.peer_python)
                result["versions"] = _hello(workers)
                for case in layers:
                    bar.set_description(f"{case.name}, {threads} threads")
                    rows, notes = measure_layer(case, workers, threads, options.rounds, bar.update)
                    _add(result, "layers", rows, notes)
                if threads == options.threads[-1]:
                    for name, section in nets.items():
                        bar.set_description(f"{name}, {threads} threads")
                        _add(result, name, *section(workers, threads, options.rounds, bar.update))
            for case in memory:
                bar.set_description(f"{case.name}, {threads} threads")
                _add(result, "memory", *measure_memory(case, threads))
                bar.update()
    result["other_processes_cores"] = others.cores()
    result["notes"][:0] = note(result["other_processes_cores"])
    return result


def _start(stack: ExitStack, threads: int, peer_python: Path) -> dict[str, Worker]:
    """The workers, which end with the stack."""
    return {
        CAFFE: stack.enter_context(caffe_worker(threads)),
        TORCH: stack.enter_context(torch_worker(threads, peer_python)),
        TORCH_KEPT: stack.enter_context(torch_worker(threads, peer_python, keeps_memory=True)),
    }


def _hello(workers: dict[str, Worker]) -> dict[str, str]:
    versions: dict[str, str] = {}
    for name, worker in workers.items():
        try:
            versions |= worker.ask("hello")
        except WorkerError as error:
            cure = "build the project first (scripts/setup.sh)" if name == CAFFE else "benchmarks/run.sh sets it up"
            raise UserError(f"{error}; {cure}") from error
    return versions


def _add(result: dict[str, Any], section: str, rows: list[dict[str, Any]], notes: list[str]) -> None:
    result[section] += rows
    for line in notes:
        if line not in result["notes"]:  # the same for every number of threads
            result["notes"].append(line)
            tqdm.write(f"benchmark: {line}", file=sys.stderr)


def _write(result: dict[str, Any], options: argparse.Namespace) -> None:
    environment = result["environment"]
    if options.out:
        stem = options.out
    else:
        processor = re.sub(r"[^a-z0-9]+", "-", environment["processor"].lower()).strip("-")
        partial = "-quick" if options.quick else "-part" if options.only else ""
        date = datetime.fromisoformat(environment["date"]).date()
        stem = _HERE / "results" / f"{date}-{processor}{partial}"
    stem.parent.mkdir(parents=True, exist_ok=True)
    text = markdown(result)
    paths = [stem.with_name(stem.name + suffix) for suffix in (".md", ".json")]
    paths[0].write_text(text)
    paths[1].write_text(json.dumps(result, indent=1) + "\n")
    print(text, end="")
    print(f"benchmark: wrote {paths[0]} and {paths[1].name}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
