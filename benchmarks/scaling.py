"""One rank with two threads against two ranks with one, on networks of the papers. See README.md and docs/scaling.md.

    .venv/bin/python benchmarks/scaling.py [--only PATTERN] [--rounds N] [--iterations N] [--out PATH]

Needs MPI (scripts/setup.sh --mpi). Both train with `caffe-acu train` on the same number of images an iteration, in
turn: in every round each once, in an order that rotates. The images are noise in a small LMDB, which is in memory.
"""

import argparse
import json
import re
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from others import OtherProcesses, note
from outcome import exit_code
from report import milliseconds, number, origin, table
from scaling_runs import CASES, RANKS, Case, Sample, prepare, summary, train, train_command
from tqdm import tqdm

from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import describe_environment, without_folders
from caffe_acu.net_param import write_atomically

_HERE = Path(__file__).resolve().parent


def main() -> int:
    options = _options()
    return exit_code(lambda: _run(options), OSError)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/scaling.py", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", metavar="PATTERN", help="networks with this regular expression in them")
    parser.add_argument("--list", action="store_true", help="list the networks and stop")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="runs of each (%(default)s)")
    parser.add_argument(
        "--iterations", type=int, default=13, metavar="N", help="of a run, the last of which is not timed (%(default)s)"
    )
    parser.add_argument("--warm-up", type=int, default=2, metavar="N", help="of these, not counted (%(default)s)")
    parser.add_argument(
        "--mpirun",
        default="mpirun --bind-to none",
        metavar="COMMAND",
        help="that starts ranks, without -np; bound to a core, two threads would share it (%(default)s)",
    )
    parser.add_argument("--overlap", type=float, default=0, metavar="MIB", help="as for caffe-acu train (%(default)s)")
    parser.add_argument("--folder", type=Path, metavar="PATH", help="for images and logs (default: the system's)")
    parser.add_argument("--out", type=Path, metavar="PATH", help="results go to PATH.md and PATH.json")
    options = parser.parse_args()
    if options.rounds < 1 or not 0 <= options.warm_up < options.iterations - 1 or options.overlap < 0:
        parser.error(
            "--rounds must be positive, --overlap not negative, and --iterations two more than --warm-up, at least"
        )
    try:
        re.compile(options.only)
    except re.error as error:
        parser.error(f"--only {options.only}: not a regular expression: {error}")
    return options


def _run(options: argparse.Namespace) -> None:
    cases = [case for case in CASES if re.search(options.only, case.model)]
    if not cases:
        raise UserError(f"no network has '{options.only}' in its name; --list shows the names")
    if options.list:
        print("\n".join(case.model for case in cases))
        return
    record = _measure(options, cases)
    date, machine = record["environment"]["date"][:10], record["environment"]["processor"].lower()
    machine = re.sub(r"[^a-z0-9]+", "-", machine).strip("-")
    out = options.out or _HERE / "results" / f"{date}-{machine}-scaling{'-part' if options.only else ''}"
    text = _markdown(record)
    write_atomically(out.with_name(out.name + ".json"), json.dumps(record, indent=1) + "\n")
    write_atomically(out.with_name(out.name + ".md"), text)
    print(text, end="")


def _measure(options: argparse.Namespace, cases: list[Case]) -> dict[str, Any]:
    others, rows = OtherProcesses(), []
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as name,
        tqdm(total=len(cases) * options.rounds * len(RANKS), unit="run", file=sys.stderr, disable=None) as bar,
    ):
        for case in cases:
            bar.set_description(case.model)
            folders = {ranks: prepare(case, Path(name), ranks, options.iterations) for ranks in RANKS}
            samples: dict[int, list[Sample]] = {ranks: [] for ranks in RANKS}
            for turn in range(options.rounds):
                for ranks in RANKS if turn % 2 == 0 else reversed(RANKS):
                    command = train_command(shlex.split(options.mpirun), ranks, options.overlap)
                    samples[ranks].append(train(folders[ranks], command, ranks, options.iterations, options.warm_up))
                    bar.update()
            rows.append(summary(case, samples))
    return {
        "command": shlex.join(["benchmarks/scaling.py", *map(without_folders, sys.argv[1:])]),
        "environment": describe_environment(),
        "rounds": options.rounds,
        "iterations": options.iterations,
        "warm_up": options.warm_up,
        "overlap_mib": options.overlap,
        "other_processes_cores": others.cores(),
        "rows": rows,
    }


def _markdown(record: dict[str, Any]) -> str:
    lines = [
        *origin(record),
        f"{record['rounds']} rounds in turn, of {record['iterations']} iterations each, of which the first "
        f"{record['warm_up']} and the last do not count; medians of iterations, and of the rounds' ratios",
        f"gradients are sent {_sent(record['overlap_mib'])}",
        *note(record["other_processes_cores"]),
    ]
    head = ["network", "images an iteration", "1 rank, 2 threads: ms", "2 ranks, 1 thread: ms", "efficiency"]
    head += ["communication: ms", "MB an iteration", "MB counted"]
    rows = [
        [
            row["model"],
            str(row["batch"]),
            milliseconds(row["one_ms"]),
            milliseconds(row["two_ms"]),
            f"{number(row['efficiency'])} ({number(row['least'])} to {number(row['most'])})",
            milliseconds(row["communication_ms"]),
            f"{row['bytes'] / 1e6:.2f}",
            f"{row['counted_bytes'] / 1e6:.2f}",
        ]
        for row in record["rows"]
    ]
    about = (
        "Efficiency: time of one rank over time of two. Communication, for which the solver waits, and MB: as rank 0 "
        "of two tells them; MB counted: by `caffe-acu scaling`."
    )
    return "\n\n".join(["# Scaling", "\n".join(f"- {x}" for x in lines), table(head, rows), about]) + "\n"


def _sent(overlap: float) -> str:
    return f"{overlap:g} MiB at a time while others are computed" if overlap else "all at the end of the backward pass"


if __name__ == "__main__":
    sys.exit(main())
