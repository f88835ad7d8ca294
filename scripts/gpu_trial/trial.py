"""Tests, measures and trains on a machine with a GPU: see docs/gpu_trial.md.

Runs from a kit, which make_kit.sh makes, with nothing but Python 3.11 or later and CUDA's libraries on the machine.
Whatever is interrupted, or does not fit into --minutes, goes on with the next call and the same --out.
"""

import argparse
import json
import os
import re
import shlex
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trial_kit import Kit, TrialError, open_kit

_STEPS = ("tests", "check", "bench", "data", "alone", "sanitize", "train")
_LAST = ("report", "pack-results")
_STOPPING_SECONDS = 15.0  # what a step may need to come to its end
_LEFT = 3  # exit status


def main() -> int:
    arguments = _arguments()
    try:
        return _run(arguments)
    except TrialError as error:
        print(f"trial: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("trial: interrupted; the same command goes on", file=sys.stderr)
        return 130


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="trial.py", description=__doc__.splitlines()[0])
    parser.add_argument("steps", nargs="+", choices=(*_STEPS, *_LAST, "all"), metavar="STEP", help=_help_of_steps())
    parser.add_argument("--out", type=Path, required=True, help="folder for everything that the trial makes")
    parser.add_argument("--minutes", type=float, metavar="M", help="end within M minutes; the next call goes on")
    parser.add_argument("--gpu", type=int, default=0, metavar="N", help="-1: try everything out on the CPU (0)")
    parser.add_argument("--package", type=Path, metavar="DIR", help="the relocatable folder (the kit's)")
    parser.add_argument("--images", type=Path, metavar="FILE", help="CIFAR-10 as `caffe-acu data` reads it (the kit's)")
    parser.add_argument(
        "--peers", type=Path, default=Path(sys.executable), metavar="PYTHON", help="with PyTorch (this)"
    )
    parser.add_argument("--again", action="store_true", help="do the steps again, from their beginning")
    tests = parser.add_argument_group("tests, sanitize")
    tests.add_argument("--tests", default="", metavar="FILTER", help="gtest filter (all that the device has)")
    measuring = parser.add_argument_group("check, bench")
    measuring.add_argument("--only", default="", metavar="PATTERN", help="what has it in its name")
    measuring.add_argument("--repetitions", type=int, default=50, metavar="N", help="timed passes (50)")
    training = parser.add_argument_group("data, alone, train")
    training.add_argument("--iterations", type=int, default=64_000, metavar="N", help="of the paper's schedule (64000)")
    training.add_argument("--alone-iterations", type=int, default=2000, metavar="N", help="to be timed (2000)")
    training.add_argument("--in-turn", action="store_true", help="one network after the other, not side by side")
    training.add_argument("--seed", type=int, default=1)
    training.add_argument("--limit", type=int, metavar="N", help="images of every class, to try it out")
    arguments = parser.parse_args()
    try:
        re.compile(arguments.only)
    except re.error as error:
        parser.error(f"--only {arguments.only}: not a regular expression: {error}")
    if arguments.repetitions < 1 or arguments.alone_iterations < 20:
        parser.error("--repetitions takes 1 or more, --alone-iterations 20 or more")
    return arguments


def _help_of_steps() -> str:
    return f"{', '.join((*_STEPS, *_LAST))}, or all: what is left of them, in this order"


def _run(arguments: argparse.Namespace) -> int:
    begin = time.monotonic()
    out = arguments.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    kit = open_kit(out, arguments.package, arguments.images)
    # Only now can they be imported.
    from trial_pack import pack_results
    from trial_report import DETAILS, write_report
    from trial_steps import Options

    from caffe_acu.experiments.environment import describe_environment, without_folders

    wanted = (*_STEPS, *_LAST) if "all" in arguments.steps else tuple(dict.fromkeys(arguments.steps))
    environment = describe_environment()
    if arguments.gpu >= 0 and not environment["gpus"]:
        raise TrialError("there is no GPU: nvidia-smi shows none; --gpu -1 tries everything out on the CPU")
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    options = Options(
        out=out,
        gpu=arguments.gpu,
        deadline=None if arguments.minutes is None else begin + 60 * arguments.minutes - _STOPPING_SECONDS,
        command=shlex.join(["trial.py", *map(without_folders, sys.argv[1:])]),
        peers=arguments.peers,
        again=arguments.again,
        repetitions=arguments.repetitions,
        only=arguments.only,
        tests=arguments.tests,
        iterations=arguments.iterations,
        alone_iterations=arguments.alone_iterations,
        in_turn=arguments.in_turn,
        seed=arguments.seed,
        limit=arguments.limit,
    )
    statuses = [
        _step(name, kit, options, environment, keep="all" in arguments.steps) for name in wanted if name in _STEPS
    ]
    if "report" in wanted:
        text = write_report(options, kit, _records(out))
        print(text.partition(DETAILS)[0] + f"trial: {out / 'report.md'}")
    if "pack-results" in wanted:
        print(f"trial: {pack_results(options)}")
    if "failed" in statuses:
        return 1
    return _LEFT if "not done yet" in statuses else 0


def _step(name: str, kit: Kit, options: Any, environment: dict[str, Any], keep: bool) -> str:
    """Does a step and records what came of it; its errors are a record too. Returns its status."""
    import trial_steps

    from caffe_acu.errors import UserError
    from caffe_acu.net_param import write_atomically

    path = _record_path(options.out, name)
    if options.again:
        trial_steps.forget(name, options)
    elif keep and (record := _read(path)) and trial_steps.is_final(name, record, options):
        return record["status"]
    needed = trial_steps.needed_seconds(name, options)
    if options.deadline is not None and time.monotonic() + needed >= options.deadline:
        print(f"trial: {name}: no time is left for it", flush=True)
        return trial_steps.LEFT
    print(f"trial: {name}", flush=True)
    begun, begin = datetime.now(UTC), time.monotonic()
    try:
        outcome = trial_steps.STEPS[name](kit, options)
    except (UserError, TrialError) as error:
        outcome = trial_steps.Outcome(trial_steps.FAILED, str(error))
    except Exception as error:  # a step must not stop the others
        traceback.print_exc()
        outcome = trial_steps.Outcome(trial_steps.FAILED, f"{type(error).__name__}: {error}")
    record = {
        "step": name,
        "status": outcome.status,
        "reason": outcome.reason,
        "command": options.command,
        "environment": {**environment, "date": begun.isoformat(timespec="seconds")},
        "kit": kit.about,
        "chosen": options.chosen(),
        "seconds": round(time.monotonic() - begin, 1),
        "found": outcome.found,
    }
    write_atomically(path, json.dumps(record, indent=1) + "\n")
    print(f"trial: {name}: {outcome.status}{': ' if outcome.reason else ''}{outcome.reason}", flush=True)
    return outcome.status


def _record_path(out: Path, name: str) -> Path:
    return out / "steps" / f"{name}.json"


def _read(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text()) if path.is_file() else None


def _records(out: Path) -> dict[str, dict[str, Any] | None]:
    """What is known of every step; None: never begun."""
    return {name: _read(_record_path(out, name)) for name in _STEPS}


if __name__ == "__main__":
    sys.exit(main())
