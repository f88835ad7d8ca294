"""The folder that every data set of this project is: two LMDBs and a manifest.

``train_lmdb`` and ``test_lmdb`` are what Caffe's Data layer names as ``source`` (``backend: LMDB``);
``manifest.json`` says what is in them and how it came about.
"""

import json
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu import __version__
from caffe_acu.data.lmdb_writer import Shape, estimate_bytes, write_lmdb
from caffe_acu.data.output_folder import MANIFEST, WRITTEN_BY, require_space
from caffe_acu.errors import UserError

_PACKAGES = ("numpy", "lmdb", "pillow", "protobuf")


@dataclass(frozen=True)
class Split:
    """One LMDB to be: ``batches`` gives float32 (n, *shape), in the order of ``labels`` (N,)."""

    name: str  # 'train' or 'test'
    shape: Shape
    labels: np.ndarray
    batches: Callable[[], Iterator[np.ndarray]]


def require_space_for(folder: Path, lmdbs: Sequence[tuple[int, Shape]], others: int = 0) -> None:
    """UserError if LMDBs of (count, shape), and ``others`` bytes more, do not fit onto the disk of ``folder``."""
    require_space(folder, others + sum(estimate_bytes(count, shape) for count, shape in lmdbs))


def write_data_set(
    folder: Path, splits: Sequence[Split], classes: Sequence[str], details: dict[str, Any]
) -> dict[str, Any]:
    """Fills ``folder`` with the LMDBs and the manifest, which has ``details`` too; returns the manifest."""
    for split in splits:
        write_lmdb(folder / f"{split.name}_lmdb", split.shape, split.labels, split.batches())
    manifest = {
        "written_by": WRITTEN_BY,
        **details,
        "classes": list(classes),
        "splits": {split.name: _describe(split, classes) for split in splits},
        "versions": {
            "caffe-acu": __version__,
            "python": platform.python_version(),
            **{package: version(package) for package in _PACKAGES},
        },
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `caffe-acu data` wrote about the data set in a folder; UserError if there is none, or a damaged one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{path}: is not there: prepare the data with `caffe-acu data`")
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error}): prepare the data again") from error


def summary(manifest: dict[str, Any], out: Path) -> list[str]:
    """The manifest in a few lines for a person: what was read, what was left out, what stands where."""
    lines = [f"read {manifest['source']}"]
    for path, count in manifest.get("short", {}).items():
        lines.append(f"short: {path}, {count} records")
    for key, what in (("skipped", "damaged, left out"), ("ignored", "no image of a class, left unread")):
        names = manifest.get(key, [])
        if names:
            lines.append(f"{what}: {', '.join(names[:5])}{f' and {len(names) - 5} more' if len(names) > 5 else ''}")
    for name, split in manifest["splits"].items():
        counts = split["per_class"].values()
        balance = f"{min(counts)} of each" if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)} of each"
        lines.append(
            f"{name}: {split['images']} images of {'x'.join(map(str, split['shape']))}, {balance} of "
            f"{len(counts)} classes"
        )
    lines.append(f"written to {out}")
    return lines


def _describe(split: Split, classes: Sequence[str]) -> dict[str, Any]:
    counts = np.bincount(split.labels, minlength=len(classes)).tolist()
    return {
        "lmdb": f"{split.name}_lmdb",
        "images": len(split.labels),
        "shape": list(split.shape),
        "per_class": dict(zip(classes, counts, strict=True)),
    }
