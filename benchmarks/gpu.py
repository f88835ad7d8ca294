"""Measures layers and iterations on a GPU, and checks ACUs against torchvision. See docs/gpu_trial.md.

Writes PATH.json and PATH.md; run again after an interruption, it does what is left.
"""

import argparse
import re
import shlex
import sys
import time
from datetime import datetime
from pathlib import Path

from gpu_bench import SECTIONS, Benchmark, Settings, names
from gpu_report import markdown
from layer_times import LayerTimes
from protocol import WorkerError

from caffe_acu.caffe_proto import build_folder
from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import describe_environment, gpu_names, without_folders
from caffe_acu.net_param import write_atomically

_HERE = Path(__file__).resolve().parent


def main() -> int:
    options = _options()
    if options.list:
        print("\n".join(name for name in names() if re.search(options.only, name)))
        return 0
    try:
        return _measure(options)
    except (UserError, WorkerError) as error:
        print(f"benchmark: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmark: interrupted; run it again to go on", file=sys.stderr)
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/gpu.py", description=__doc__.splitlines()[0])
    parser.add_argument("--gpu", type=int, default=0, metavar="N", help="-1: the CPU, to try the benchmark out (0)")
    parser.add_argument("--only", default="", metavar="PATTERN", help="what has this regular expression in its name")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS, help="(all)")
    parser.add_argument("--list", action="store_true", help="list the names and stop")
    parser.add_argument("--repetitions", type=int, default=50, metavar="N", help="timed passes (50)")
    parser.add_argument("--warm-up", type=int, default=5, metavar="N", help="passes before those (5)")
    parser.add_argument("--minutes", type=float, help="stop after about this time")
    parser.add_argument("--again", action="store_true", help="measure the chosen sections anew")
    parser.add_argument("--out", type=Path, metavar="PATH", help="results go to PATH.md and PATH.json")
    parser.add_argument(
        "--peers", type=Path, default=Path(sys.executable), metavar="PYTHON", help="python with PyTorch (this one)"
    )
    parser.add_argument("--layer-times", type=Path, metavar="PROGRAM", help="(the one beside `caffe`)")
    options = parser.parse_args()
    if options.repetitions < 1 or options.warm_up < 0:
        parser.error("--repetitions takes 1 or more, --warm-up 0 or more")
    try:
        re.compile(options.only)
    except re.error as error:
        parser.error(f"--only {options.only}: not a regular expression: {error}")
    return options


def _measure(options: argparse.Namespace) -> int:
    program = options.layer_times or layer_times_program()
    stem = options.out or _default_stem()
    settings = Settings(
        LayerTimes(program, options.gpu, options.repetitions, options.warm_up),
        options.peers,
        re.compile(options.only).search,
        shlex.join(["benchmarks/gpu.py", *map(without_folders, sys.argv[1:])]),
        tuple(options.sections),
        None if options.minutes is None else time.monotonic() + 60 * options.minutes,
    )
    benchmark = Benchmark(stem.with_name(stem.name + ".json"), settings)
    if options.again:
        benchmark.forget()
    done = benchmark.run()
    text = markdown(benchmark.result)
    report = stem.with_name(stem.name + ".md")
    write_atomically(report, text)
    print(text, end="")
    print(f"benchmark: {report}{'' if done else '; not done: run it again to go on'}", file=sys.stderr)
    return 0 if done else 3


def layer_times_program() -> Path:
    program = build_folder() / "bin" / "layer_times"
    if not program.is_file():
        raise UserError(f"{program}: is not there: build it (scripts/setup.sh), or name it with --layer-times")
    return program


def _default_stem() -> Path:
    environment = describe_environment()
    device = (gpu_names(environment) or [environment["processor"]])[0]
    device = re.sub(r"[^a-z0-9]+", "-", device.lower()).strip("-")
    return _HERE / "results" / f"{datetime.fromisoformat(environment['date']).date()}-{device}"


if __name__ == "__main__":
    sys.exit(main())
