"""Builds small data sets of pictures, and compares them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from caffe_acu.data.pictures.class_folders import plan_class_folders
from caffe_acu.data.pictures.options import PictureOptions, RecordOptions, RunOptions
from caffe_acu.data.pictures.prepare import prepare_pictures
from pictures_seen import read_pictures

SIZE = 32
COUNT = 100  # of a class in a split of the fixture `whole`: 200 are four tasks


def prepare(source: Path, out: Path, seed: int = 0, encoding: str = "jpeg", **run: Any) -> dict[str, Any]:
    options = PictureOptions(RecordOptions(size=SIZE, encoding=encoding, orientation="apply"), seed)
    return prepare_pictures(
        out,
        "images",
        {"sources": [str(source)]},
        lambda: plan_class_folders([source]),
        options,
        RunOptions(**{"workers": 1} | run),
    )


def contents_of(out: Path) -> dict[str, Any]:
    """All that two runs of the same work must agree on, bit for bit."""
    manifest = json.loads((out / "manifest.json").read_text())
    # Of manifest.json the rest says where the source was and how the work was done.
    names = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file() and path.name != "manifest.json"}
    records = {
        split: [(record.key, record.name, record.value) for record in read_pictures(out, split)]
        for split in manifest["splits"]
    }
    return {"files": names, "records": records, "splits": manifest["splits"]}


def raising(monkeypatch, owner: object, name: str, calls: int = 1, do: Callable[[], None] | None = None) -> None:
    """Lets ``owner.name`` do ``do``, else be interrupted, when it is called for the time number ``calls``."""
    function = getattr(owner, name)
    left = [calls]

    def wrapped(*arguments, **options):
        left[0] -= 1
        if not left[0]:
            if do is None:
                raise KeyboardInterrupt
            do()
        return function(*arguments, **options)

    monkeypatch.setattr(owner, name, wrapped)
