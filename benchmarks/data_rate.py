"""How fast `caffe-acu data` prepares photographs, against bare decoding, resizing and encoding in the same run.

    .venv/bin/python benchmarks/data_rate.py [--images N] [--rounds N] [--workers N ...] [--out PATH]

The bare loop has the same number of processes, which read the same files, and calls the same libraries in the
same way: no shuffle, digests, sums, LMDB, progress, or anything that could go wrong. Both are timed from the start
of the processes to the end of the last, in turn. See README.md.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import simplejpeg
from outcome import exit_code
from report import origin, table
from tqdm import tqdm

from caffe_acu.data.workers import available_cores
from caffe_acu.experiments.environment import describe_environment
from caffe_acu.net_param import write_atomically

_WIDTH, _HEIGHT, _SIZE, _QUALITY = 500, 375, 256, 95
# ImageNet's training images take 110 KB on average; these are of that size at this quality.
_SOURCE_QUALITY = 96
_DISTINCT = 200  # different pictures; more files are links to them, so that the disk is no part of this
_CLASSES = 20


class Sample(NamedTuple):
    seconds: float
    cpu_seconds: float
    peak_memory: int  # bytes, of all processes together; 0 where it was not looked at


def main() -> int:
    options = _options()
    return exit_code(lambda: _measure(options), OSError, subprocess.CalledProcessError)


def _measure(options: argparse.Namespace) -> None:
    environment = describe_environment()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        files, size = _write_sources(folder / "source", options.images)
        results = []
        with tqdm(total=2 * options.rounds * len(options.workers), unit=" runs", disable=None) as bar:
            for workers in options.workers:
                samples: dict[str, list[Sample]] = {"bare": [], "ours": []}
                for number in range(options.rounds):
                    samples["bare"].append(_bare(files, workers))
                    bar.update()
                    samples["ours"].append(_ours(folder / "source", folder / f"out{workers}_{number}", workers))
                    bar.update()
                results.append({"workers": workers, **{k: [s._asdict() for s in v] for k, v in samples.items()}})
    record = {
        "command": f"benchmarks/data_rate.py --images {options.images} --rounds {options.rounds}",
        "environment": environment,
        "images": options.images,
        "bytes_an_image": size,
        "results": results,
    }
    text = _markdown(record)
    print(text)
    if options.out:
        write_atomically(options.out.with_suffix(".json"), json.dumps(record, indent=2) + "\n")
        write_atomically(options.out.with_suffix(".md"), text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=sorted({1, available_cores()}))
    parser.add_argument("--folder", type=Path, help="for the files, 30 KB an image (default: the system's)")
    parser.add_argument("--out", type=Path, metavar="PATH", help="results go to PATH.md and PATH.json")
    return parser.parse_args()


def _write_sources(folder: Path, count: int) -> tuple[list[str], int]:
    """Files in a folder per class, for training and three for testing; and their mean size."""
    cv2.setNumThreads(1)
    originals = []
    for i in range(min(_DISTINCT, count)):
        path = folder.with_name("pictures") / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(simplejpeg.encode_jpeg(_picture(i), _SOURCE_QUALITY, "BGR", "420"))
        originals.append(path)
    files = []
    for i in range(count):
        path = folder / "train" / f"class{i % _CLASSES:02d}" / f"{i:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(originals[i % len(originals)], path)
        files.append(str(path))
    for i in range(_CLASSES):
        path = folder / "val" / f"class{i:02d}" / "0.jpg"
        path.parent.mkdir(parents=True)
        os.link(originals[i % len(originals)], path)
    return files, round(statistics.mean(path.stat().st_size for path in originals))


def _picture(seed: int) -> np.ndarray:
    """Noise of all sizes, the smaller the fainter, as in photographs: uint8 (375, 500, 3)."""
    random = np.random.default_rng(seed)
    image = np.zeros((_HEIGHT, _WIDTH, 3), np.float32)
    for scale in (1, 2, 4, 8, 16, 32, 64, 128):
        shape = (_HEIGHT // scale + 2, _WIDTH // scale + 2, 3)
        noise = random.normal(0, scale**0.4, shape).astype(np.float32)
        image += cv2.resize(noise, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.clip((image - image.mean()) / image.std() * 50 + 120, 0, 255).astype(np.uint8)


def _bare(files: Sequence[str], workers: int) -> Sample:
    context = multiprocessing.get_context("spawn")
    before = os.times()
    begin = time.perf_counter()
    processes = [context.Process(target=_bare_loop, args=(files[i::workers],)) for i in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return Sample(time.perf_counter() - begin, _cpu_since(before), 0)


def _bare_loop(files: Sequence[str]) -> None:
    cv2.setNumThreads(1)
    for path in files:
        with open(path, "rb") as file:
            pixels = simplejpeg.decode_jpeg(file.read(), "BGR", min_height=_SIZE, min_width=_SIZE)
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = pixels[top : top + side, left : left + side]
        simplejpeg.encode_jpeg(np.ascontiguousarray(cv2.resize(square, (_SIZE, _SIZE))), _QUALITY, "BGR", "420")


def _ours(source: Path, out: Path, workers: int) -> Sample:
    command = [sys.executable, "-m", "caffe_acu.cli.main", "data", "images", "--source", str(source), "--out", str(out)]
    before = os.times()
    begin = time.perf_counter()
    process = subprocess.Popen([*command, "--workers", str(workers)], stdout=subprocess.DEVNULL)
    memory = _PeakMemory(process.pid)
    code = process.wait()
    if code != 0:
        raise subprocess.CalledProcessError(code, command)
    return Sample(time.perf_counter() - begin, _cpu_since(before), memory.stop())


def _cpu_since(before: os.times_result) -> float:
    now = os.times()
    return now.children_user + now.children_system - before.children_user - before.children_system


class _PeakMemory:
    """Looks every half second at a process and its children."""

    def __init__(self, pid: int) -> None:
        self._pid, self._peak, self._done = pid, 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._done.wait(0.5):
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children")
            try:
                pids = [self._pid, *map(int, children.read_text().split())]
                self._peak = max(self._peak, sum(map(_memory, pids)))
            except OSError:
                continue  # it ended meanwhile


def _memory(pid: int) -> int:
    """Bytes of a process, what it shares with others in proportion."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _markdown(record: dict[str, Any]) -> str:
    rows = []
    for result in record["results"]:
        bare, ours = ([Sample(**sample) for sample in result[name]] for name in ("bare", "ours"))
        ratios = [mine.seconds / peer.seconds for mine, peer in zip(ours, bare, strict=True)]
        cpu = statistics.median(m.cpu_seconds / p.cpu_seconds for m, p in zip(ours, bare, strict=True))
        rate = record["images"] / statistics.median(sample.seconds for sample in ours)
        peer_rate = record["images"] / statistics.median(sample.seconds for sample in bare)
        rows.append(
            [
                str(result["workers"]),
                f"{rate:,.0f}",
                f"{peer_rate:,.0f}",
                f"{rate / result['workers']:,.0f}",
                f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})",
                f"{cpu:.3f}",
                f"{max(sample.peak_memory for sample in ours) / 2**20:,.0f}",
            ]
        )
    head = [
        "workers",
        "ours, images/s",
        "bare, images/s",
        "ours a core",
        "time of ours / bare (least to most)",
        "CPU time",
        "memory, MiB",
    ]
    lines = [
        "# Preparing photographs",
        "",
        *(f"- {line}" for line in origin(record)),
        f"- {record['images']:,} JPEGs of {_WIDTH}x{_HEIGHT}, {record['bytes_an_image'] / 1000:.0f} KB each, to "
        f"{_SIZE}x{_SIZE} at quality {_QUALITY}; {len(record['results'][0]['ours'])} rounds, in turn; medians",
        "",
        table(head, rows),
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
