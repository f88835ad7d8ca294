"""Everything worth keeping of a trial, as one archive that is not too large to be fetched."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from trial_steps import Options

from caffe_acu.positions import iteration_of, read_positions

LIMIT_BYTES = 16 * 2**20
ARCHIVE = "results.tar.xz"
_POSITIONS = "positions.json"


def pack_results(options: Options, limit: int = LIMIT_BYTES) -> str:
    """Writes results.tar.xz below the trial's folder; returns a line about it.

    What makes it larger than ``limit`` bytes is left out: first what training goes on from, then the weights.
    Unpacked into another --out, it lets the trial go on there.
    """
    out = options.out
    _keep_positions(options.training)
    parts = {"records": _records(out), "weights": _last(out, "caffemodel"), "solver states": _last(out, "solverstate")}
    contents, left_out = _archive(out, parts), []
    while len(contents) > limit and len(parts) > 1:
        left_out.append(parts.popitem()[0])
        contents = _archive(out, parts)
    archive = out / ARCHIVE
    archive.write_bytes(contents)
    without = f", without {' and '.join(left_out)}, which made it too large" if left_out else ""
    too_large = f"; LARGER than {limit / 2**20:g} MiB" if len(contents) > limit else ""
    return f"{archive}: {len(contents) / 2**20:.2f} MiB{without}{too_large}"


def _records(out: Path) -> list[Path]:
    """Reports, logs and figures."""
    patterns = ("*.md", "*.json", "steps/*", "tests/*", "sanitizer/*", "alone/*/*.log", "training/*.*", "training/*/*")
    return sorted({path for pattern in patterns for path in out.glob(pattern) if path.is_file()})


def _last(out: Path, suffix: str) -> list[Path]:
    """The last snapshot of each run."""
    chosen = []
    for folder in sorted(out.glob("training/*/snapshots")):
        numbered = [(int(path.stem.rpartition("_")[2]), path) for path in folder.glob(f"*_iter_*.{suffix}")]
        chosen += [max(numbered)[1]] if numbered else []
    return chosen


def _archive(out: Path, parts: dict[str, list[Path]]) -> bytes:
    buffer = io.BytesIO()
    # Weights are noise: a higher preset takes longer and saves nothing.
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=0) as tar:
        for path in (path for paths in parts.values() for path in paths):
            tar.add(path, path.relative_to(out))
    return buffer.getvalue()


def _keep_positions(training: Path) -> None:
    """Writes the positions of all snapshots beside each run, which are small where snapshots are not."""
    for folder in training.glob("*_acu/snapshots"):
        path = folder.parent / _POSITIONS
        kept = json.loads(path.read_text()) if path.is_file() else {}
        for snapshot in folder.glob("*_iter_*.caffemodel"):
            kept.setdefault(str(iteration_of(snapshot)), dict(_positions(snapshot)))
        path.write_text(json.dumps(dict(sorted(kept.items(), key=lambda item: int(item[0])))) + "\n")


def _positions(snapshot: Path) -> Iterator[tuple[str, dict[str, list]]]:
    for layer in read_positions(snapshot):
        yield layer.layer, {"x": layer.x.tolist(), "y": layer.y.tolist()}
