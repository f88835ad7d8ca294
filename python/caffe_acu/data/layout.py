"""The folder that every data set of this project is: two LMDBs and a manifest.

``train_lmdb`` and ``test_lmdb`` (or ``val_lmdb``) are what Caffe's Data layer names as ``source`` (``backend:
LMDB``); a table beside each has a digest of every record; ``manifest.json`` says what all of it is, how it came
about, and the digests of all files beside it, its own included.
"""

import hashlib
import json
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu import __version__
from caffe_acu.data.lmdb_writer import Shape, estimate_bytes, write_lmdb
from caffe_acu.data.output_folder import LOCK, MANIFEST, WRITTEN_BY, require_space
from caffe_acu.data.records import table_name
from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically

_PACKAGES = ("numpy", "lmdb", "pillow", "protobuf", "simplejpeg", "opencv-python-headless")


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
        table = folder / table_name(split.name)
        write_lmdb(folder / f"{split.name}_lmdb", table, split.shape, split.labels, split.batches())
    described = {
        split.name: describe_split(split.name, split.labels, classes, split.shape, "float") for split in splits
    }
    return write_manifest(folder, details, classes, described)


def describe_split(
    name: str, labels: np.ndarray, classes: Sequence[str], shape: Shape, encoding: str
) -> dict[str, Any]:
    """A split's part of the manifest; ``labels`` (N,) are those of its records."""
    counts = np.bincount(labels, minlength=len(classes)).tolist()
    return {
        "lmdb": f"{name}_lmdb",
        "images": len(labels),
        "shape": list(shape),
        "encoding": encoding,
        "per_class": dict(zip(classes, counts, strict=True)),
    }


def write_manifest(
    folder: Path, details: dict[str, Any], classes: Sequence[str], splits: dict[str, Any]
) -> dict[str, Any]:
    """Writes manifest.json over everything else in ``folder``, which must be there; returns it."""
    manifest = {
        "written_by": WRITTEN_BY,
        **details,
        "classes": list(classes),
        "splits": splits,
        "versions": {
            "caffe-acu": __version__,
            "python": platform.python_version(),
            **_installed(_PACKAGES),
        },
        "lmdb_bytes": {name: (folder / split["lmdb"] / "data.mdb").stat().st_size for name, split in splits.items()},
        "sha256": {path.name: file_digest(path) for path in sorted(folder.iterdir()) if _is_ours(path)},
    }
    manifest["manifest_sha256"] = manifest_digest(manifest)
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    return manifest


def _installed(packages: Sequence[str]) -> dict[str, str]:
    """Versions of those that are there: not every data set needs all of them."""
    versions = {}
    for package in packages:
        with suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.name not in (MANIFEST, LOCK)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def manifest_digest(manifest: dict[str, Any]) -> str:
    """SHA-256 of everything in a manifest but this digest itself."""
    rest = {key: value for key, value in manifest.items() if key != "manifest_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> dict[str, Any]:
    """What `caffe-acu data` wrote about the data set in a folder; UserError if there is none, or a damaged one."""
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{path}: is not there: prepare the data with `caffe-acu data`")
    try:
        manifest = json.loads(path.read_text())
        if not isinstance(manifest, dict):
            raise ValueError("it holds no object")
        return manifest
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read ({error}): prepare the data again") from error


def summary(manifest: dict[str, Any], out: Path) -> list[str]:
    """The manifest in a few lines for a person: what was read, what was left out, what stands where."""
    lines = [f"read {manifest['source']}"]
    for path, count in manifest.get("short", {}).items():
        lines.append(f"short: {path}, {count} records")
    for split, count in manifest.get("left_out", {}).items():
        lines.append(f"{split}: {count:,} files left out or damaged, see left_out.tsv")
    for key, what in (("skipped", "damaged, left out"), ("ignored", "no image of a class, left unread")):
        names = manifest.get(key, [])
        if isinstance(names, int):
            lines += [f"{what}: {names:,} files"] if names else []
        elif names:
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
