"""Measures how fast a Data layer reads a large LMDB from the disk. See docs/reading.md.

The LMDB is made in --folder the first time (4.9 GB for 200,000 records), and stays there. Before each measurement its
pages are dropped from memory, and the measured process runs with a limit on memory, page cache included.
"""

import argparse
import itertools
import json
import os
import shlex
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from others import OtherProcesses, note
from outcome import exit_code
from reading_lmdb import write
from tqdm import tqdm

from caffe_acu.caffe_proto import build_folder
from caffe_acu.data.output_folder import new_folder
from caffe_acu.experiments.environment import describe_environment, hardware, without_folders
from caffe_acu.net_param import write_atomically

_HERE = Path(__file__).resolve().parent
_CGROUPS = Path("/sys/fs/cgroup/memory")
_ORDERS = {"in order": [], "shuffled": ["--shuffle"]}
_KINDS = {"records alone": ["--raw"], "decoded, crop 224": []}


def main() -> int:
    options = _options()
    return exit_code(lambda: _measure(options), OSError, subprocess.CalledProcessError)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/reading.py", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, metavar="PATH", help="holds the LMDB; made if missing")
    parser.add_argument("--records", type=int, default=200_000, metavar="N", help="of an LMDB that is made (200000)")
    parser.add_argument("--memory-mib", type=int, default=1536, metavar="N", help="the reading process's limit (1536)")
    parser.add_argument("--seconds", type=float, default=5.0, metavar="S", help="length of a measurement (5)")
    parser.add_argument("--batch-size", type=int, default=64, metavar="N", help="(64)")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], metavar="N", help="(1 2)")
    parser.add_argument("--prefetch", type=int, nargs="+", default=[1, 4, 10], metavar="N", help="(1 4 10)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="of which the median counts (3)")
    parser.add_argument("--program", type=Path, metavar="PATH", help="read_times (the one beside `caffe`)")
    parser.add_argument("--out", type=Path, metavar="PATH", help="results go to PATH.md and PATH.json")
    options = parser.parse_args()
    if min(options.records, options.memory_mib, options.batch_size, options.rounds, *options.threads) < 1:
        parser.error("numbers must be positive")
    return options


def _measure(options: argparse.Namespace) -> None:
    program = options.program or build_folder() / "bin" / "read_times"
    lmdb = options.folder / "jpeg_lmdb"
    if not lmdb.exists():
        with new_folder(lmdb, overwrite=False) as unfinished:
            write(unfinished, options.records)
    cases = [
        {"order": order, "kind": kind, "threads": threads, "prefetch": prefetch}
        for kind, order, threads, prefetch in itertools.product(_KINDS, _ORDERS, options.threads, options.prefetch)
    ]
    results: list[dict[str, Any]] = [{**case, "records_per_s": [], "set_up_s": []} for case in cases]
    others = OtherProcesses()
    with _limited_memory(options.memory_mib) as group, tqdm(total=len(cases) * options.rounds, disable=None) as bar:
        for seed in range(options.rounds):
            for result in results:
                times = _run(program, lmdb, result, seed, options, group)
                for name in ("records_per_s", "set_up_s"):
                    result[name].append(times[name])
                bar.update()
    record = {
        "command": without_folders(f"benchmarks/reading.py {shlex.join(sys.argv[1:])}"),
        "environment": describe_environment(),
        "disk": _disk(lmdb),
        "memory_limit_mib": options.memory_mib if group else None,
        "lmdb_bytes": (lmdb / "data.mdb").stat().st_size,
        "batch_size": options.batch_size,
        "others": others.cores(),
        "results": results,
    }
    date, machine = record["environment"]["date"][:10], record["environment"]["processor"].lower().replace(" ", "-")
    out = options.out or _HERE / "results" / f"{date}-{machine}-reading"
    write_atomically(out.with_name(out.name + ".json"), json.dumps(record, indent=1) + "\n")
    text = _markdown(record)
    write_atomically(out.with_name(out.name + ".md"), text)
    print(text)


def _run(
    program: Path, lmdb: Path, case: dict[str, Any], seed: int, options: argparse.Namespace, group: Path | None
) -> dict[str, float]:
    _drop_from_memory(lmdb / "data.mdb")
    command = [program, f"--source={lmdb}", f"--seed={seed}", f"--seconds={options.seconds}", "--records=2000000000"]
    command += [f"--batch_size={options.batch_size}", f"--prefetch={case['prefetch']}"]
    command += _ORDERS[case["order"]] + _KINDS[case["kind"]]

    def enter_group() -> None:
        if group:
            (group / "cgroup.procs").write_text(str(os.getpid()))

    environment = os.environ | {"CAFFE_ACU_THREADS": str(case["threads"])}
    # In a process of one thread; what is called before the program is Python's own.
    done = subprocess.run(
        command, env=environment, preexec_fn=enter_group, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def _drop_from_memory(file: Path) -> None:
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)  # pages that are not on the disk yet cannot be dropped
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


@contextmanager
def _limited_memory(mib: int) -> Iterator[Path | None]:
    """A control group with that limit, page cache included; None where there is none to be had."""
    group = _CGROUPS / f"caffe-acu-reading-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        (group / "memory.limit_in_bytes").write_text(str(mib << 20))
        yield group
    finally:
        group.rmdir()


def _disk(folder: Path) -> str:
    """Name, kind and readahead of the disk, as far as the system tells."""
    number = folder.stat().st_dev
    device = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")
    try:
        name = device.resolve().name
        queue = next(path for path in (device / "queue", device.resolve().parent / "queue") if path.is_dir())
        return f"{name}, kernel readahead {(queue / 'read_ahead_kb').read_text().strip()} KiB"
    except (OSError, StopIteration):
        return "unknown"


def _markdown(record: dict[str, Any]) -> str:
    environment, limit = record["environment"], record["memory_limit_mib"]
    lines = [
        "# Reading",
        "",
        f"- command: `{record['command']}`",
        f"- commit: {environment['commit']}",
        f"- hardware: {hardware(environment)}",
        f"- disk: {record['disk']}",
        f"- date: {environment['date']}",
        f"- system: {environment['system']}",
        f"- LMDB: {record['lmdb_bytes'] / 1e9:.2f} GB; batches of {record['batch_size']}",
        f"- memory of the reading process, page cache included: {limit} MiB"
        if limit
        else "- memory: not limited (no control group could be made); the LMDB was dropped from memory before each run",
        *(f"- {line}" for line in note(record["others"])),
        "",
        "Records a second, cold, median of the rounds (least to most); set-up: seconds until the layer is made.",
        "",
        "| read | order | threads | prefetch | records/s | set-up (s) |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for result in record["results"]:
        speeds = result["records_per_s"]
        lines.append(
            f"| {result['kind']} | {result['order']} | {result['threads']} | {result['prefetch']} "
            f"| {statistics.median(speeds):.0f} ({min(speeds):.0f} to {max(speeds):.0f}) "
            f"| {statistics.median(result['set_up_s']):.2f} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
