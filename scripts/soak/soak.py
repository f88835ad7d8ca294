"""Does all chores in rounds, in random order, for some minutes, and judges whether the process grows."""

import argparse
import csv
import gc
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from chores import Chore, all_chores
from measures import MEASURES, Judgement, judge
from workplace import Workplace

from caffe_acu.data.progress import progress
from caffe_acu.tables import Table, aligned

_WARM_UP = 0.25  # of the time
_LEAST_SAMPLES = 16  # whatever the time
_FLAT, _GROWS, _INTERRUPTED = 0, 1, 130


def soak(
    minutes: float, seed: int, out: Path, make_chores: Callable[[Workplace], dict[str, Chore]] = all_chores
) -> int:
    """Returns the exit code; writes ``out``/soak.csv. A round that has begun is done to its end."""
    out.mkdir(parents=True, exist_ok=True)
    draw = random.Random(seed)
    done: Counter[str] = Counter()
    samples: list[list[float]] = []
    interrupted = False
    with (
        tempfile.TemporaryDirectory(prefix="caffe-acu-soak-") as folder,
        open(out / "soak.csv", "w", newline="") as file,
    ):
        chores = make_chores(Workplace(Path(folder)))
        table = csv.writer(file)
        table.writerow(["seconds", "rounds", *(f"{m.name} {m.unit}".strip() for m in MEASURES)])
        begin = time.monotonic()
        every = min(3.0, minutes * 60 / 40)  # seconds between samples
        with progress("soak", round(minutes * 60), unit=" s") as shown:
            try:
                while (seconds := time.monotonic() - begin) < minutes * 60 or len(samples) < _LEAST_SAMPLES:
                    for name in draw.sample(list(chores), len(chores)):
                        chores[name](draw)
                        done[name] += 1
                    shown.update(round(seconds) - shown.n)
                    if samples and seconds - samples[-1][0] < every:
                        continue
                    gc.collect()
                    samples.append([seconds, *(measure.read() for measure in MEASURES)])
                    table.writerow([f"{seconds:.1f}", max(done.values()), *(f"{v:.6g}" for v in samples[-1][1:])])
                    file.flush()
            except KeyboardInterrupt:
                interrupted = True
        seconds = time.monotonic() - begin
    if interrupted and len(samples) < _LEAST_SAMPLES:
        print("interrupted before there was anything to judge")
        return _INTERRUPTED
    judgements = [
        judge(measure, [s[0] for s in samples], [s[i] for s in samples], _WARM_UP * seconds)
        for i, measure in enumerate(MEASURES, start=1)
    ]
    print(f"{seconds / 60:.1f} minutes, {len(samples)} samples, the first quarter is warm-up; seed {seed}\n")
    print(aligned([("done", "times"), *((name, f"{count:,}") for name, count in done.items())]), end="\n\n")
    print(aligned(_table(judgements)))
    growing = [j.measure.name for j in judgements if not j.flat]
    print(f"\nGROWS: {', '.join(growing)}" if growing else "\nflat")
    if interrupted:
        return _INTERRUPTED
    return _GROWS if growing else _FLAT


def _table(judgements: list[Judgement]) -> Table:
    lines: Table = [("", "first", "last", "growth", "at least", "allowed", "")]
    for j in judgements:
        numbers = (
            f"{value:.1f} {j.measure.unit}".strip() for value in (j.first, j.last, j.growth, j.at_least, j.allowed)
        )
        lines.append((j.measure.name, *numbers, "flat" if j.flat else "GROWS"))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=1, help="of sizes, order and choices")
    parser.add_argument("--out", type=Path, default=Path("results/soak"), help="folder for soak.csv")
    options = parser.parse_args()
    return soak(options.minutes, options.seed, options.out)


if __name__ == "__main__":
    sys.exit(main())
