"""Photographs from source to LMDB, in a folder that appears whole or not at all."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from caffe_acu.caffe_proto import caffe_pb2
from caffe_acu.data.layout import describe_split, write_manifest
from caffe_acu.data.output_folder import WORK, require_space, resumable_folder
from caffe_acu.data.pictures.build import Job, build_split, seal_split
from caffe_acu.data.pictures.file_list import FileList
from caffe_acu.data.pictures.options import PictureOptions, RunOptions
from caffe_acu.data.pictures.plan import LeftOut, Plan
from caffe_acu.data.pictures.state import State
from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically

MEAN_IMAGE, MEAN_VALUES, LEFT_OUT, CLASSES = "mean.binaryproto", "mean.json", "left_out.tsv", "classes.txt"
_PLAN = f"{WORK}/plan.json"
_ALL_BUILT = f"{WORK}/all_built"
# A JPEG of quality 95 takes about this much; the disk is checked for half of it, since running out loses nothing.
_BYTES_A_PIXEL = 0.4


def prepare_pictures(
    out: Path,
    data_set: str,
    source: Mapping[str, Any],
    make_plan: Callable[[], Plan],
    options: PictureOptions = PictureOptions(),
    run: RunOptions = RunOptions(),
) -> dict[str, Any]:
    """Writes the data set ``out`` of the files that ``make_plan`` finds; returns its manifest.

    ``source`` is what ``make_plan`` reads from, for the manifest, and to know an interrupted run of the same work
    again, which is then gone on with. ``out`` holds ``train_lmdb`` (in the random order of ``options.seed``),
    ``val_lmdb`` or ``test_lmdb`` (in the source's order), a table of records for each, ``classes.txt`` with the
    labels' names, ``mean.binaryproto`` (the mean training image, float, B, G, R) and ``mean.json`` (its
    channels' means and standard deviations), ``left_out.tsv`` if a file was left out or is damaged, and
    ``manifest.json``. Raises UserError for bad input; damaged files are refused at the end, all of them at once,
    and the rest of the work is kept.
    """
    job = {"data_set": data_set, **source, "options": asdict(options)}
    with resumable_folder(out, run.overwrite, job, run.restart) as folder:
        plan = _kept_plan(folder, make_plan, options, run)
        _require_space(folder, plan, options)
        states = _build(folder, plan, options, run)
        left_out = _left_out(plan, states)
        if left_out and not _acceptable(plan, states, run):
            raise _refusal(folder, left_out, plan)

        _damaged_list(folder).unlink(missing_ok=True)  # of an earlier run; they were mended
        _write_mean(folder, plan, states["train"])
        (folder / CLASSES).write_text("".join(f"{name}\n" for name in plan.classes), encoding="utf-8")
        if left_out:
            _write_left_out(folder / LEFT_OUT, left_out)
        splits = {}
        for name, files in plan.splits().items():
            state = states[name]
            seal_split(folder, name, mended=state.mended)
            labels = np.delete(files.labels, list(state.failed))
            shape = (3, options.records.size, options.records.size)
            splits[name] = describe_split(name, labels, plan.classes, shape, options.records.encoding) | {
                "source_list_sha256": files.digest(),
                "remarks": dict(sorted(state.remarks.items())),
            }
        details = {
            **job,
            "source": f"{', '.join(source['sources'])} ({plan.form})",
            "damaged": run.damaged,
            "left_out": _counts(left_out),
            "ignored": plan.ignored,
        }
        return write_manifest(folder, details, plan.classes, splits)


def _plan_file(folder: Path, split: str) -> Path:
    return folder / WORK / f"{split}_plan.npz"


def _state_file(folder: Path, split: str) -> Path:
    return folder / WORK / f"{split}_state.npz"


def _kept_plan(folder: Path, make_plan: Callable[[], Plan], options: PictureOptions, run: RunOptions) -> Plan:
    """The plan of the interrupted run, or a new one, which is kept: listing a source can take many minutes."""
    path = folder / _PLAN
    try:
        texts = json.loads(path.read_bytes())
        train, test = (FileList.load(_plan_file(folder, name)) for name in ("train", texts["test_name"]))
        left_out = tuple(LeftOut(*entry) for entry in texts["left_out"])
        classes = tuple(texts["classes"])
        plan = Plan(train, test, texts["test_name"], classes, texts["form"], left_out, texts["ignored"])
        _require_same_damaged(folder, texts["damaged"], run, plan.left_out)
        return plan
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: what an interrupted run left is damaged ({error}): add --restart") from error
    plan = make_plan().arranged(options)
    if plan.left_out and run.damaged == "refuse":  # before any work, and before the plan is kept
        raise _refusal(folder, list(plan.left_out), plan)
    for name, files in plan.splits().items():
        files.save(_plan_file(folder, name))
    texts = {key: getattr(plan, key) for key in ("test_name", "classes", "form", "left_out", "ignored")}
    texts["damaged"] = run.damaged
    write_atomically(path, json.dumps(texts))
    return plan


def _require_space(folder: Path, plan: Plan, options: PictureOptions) -> None:
    pixels = options.records.size**2 * sum(len(files) for files in plan.splits().values())
    written = sum(path.stat().st_size for path in folder.glob("*_lmdb/data.mdb"))
    needed = pixels * 3 * 1.03 if options.records.encoding == "raw" else pixels * _BYTES_A_PIXEL / 2
    require_space(folder, int(needed) - written)


def _build(folder: Path, plan: Plan, options: PictureOptions, run: RunOptions) -> dict[str, State]:
    if (folder / _ALL_BUILT).exists():  # killed while everything was there and the rest was being written
        states = {name: State.load(_state_file(folder, name).read_bytes()) for name in plan.splits()}
        left_out = [index for state in states.values() for index in state.failed | state.kept]
        _require_same_damaged(folder, (folder / _ALL_BUILT).read_text(), run, left_out)
        return states
    states = {}
    for name, files in plan.splits().items():
        job = Job(folder, name, files, options.records, with_sums=name == "train")
        states[name] = build_split(job, run)
    if _acceptable(plan, states, run):
        for name, state in states.items():
            write_atomically(_state_file(folder, name), state.dump())
        write_atomically(folder / _ALL_BUILT, run.damaged)
    return states


def _acceptable(plan: Plan, states: Mapping[str, State], run: RunOptions) -> bool:
    """Whether the files that failed may be left out: something must be left of each split."""
    failed = {name: len(state.failed) for name, state in states.items()}
    if run.damaged == "refuse":
        return not any(failed.values()) and not plan.left_out
    return all(failed[name] < len(files) for name, files in plan.splits().items())


def _require_same_damaged(folder: Path, earlier: str, run: RunOptions, left_out: Sequence[Any]) -> None:
    """UserError if a decision about damaged files was made that this run would make otherwise."""
    if left_out and earlier != run.damaged:
        raise UserError(
            f"{folder}: an interrupted run with --damaged {earlier} left out or kept {len(left_out):,} files: go on "
            f"with --damaged {earlier}, or begin anew with --restart"
        )


def _left_out(plan: Plan, states: Mapping[str, State]) -> list[LeftOut]:
    """All files that are not in the data set, or are although they are damaged."""
    entries = list(plan.left_out)
    for name, files in plan.splits().items():
        for index, reason in sorted((states[name].failed | states[name].kept).items()):
            entries.append(LeftOut(name, files.path(index), reason))
    return entries


def _damaged_list(folder: Path) -> Path:
    """Beside the data set that ``folder`` is to become."""
    return folder.with_name(f"{folder.name.removeprefix('.').removesuffix('.partial')}.damaged.tsv")


def _refusal(folder: Path, left_out: list[LeftOut], plan: Plan) -> UserError:
    listing = _damaged_list(folder)
    _write_left_out(listing, left_out)
    total = sum(len(files) for files in plan.splits().values())
    first = left_out[0]
    return UserError(
        f"{first.name}: {first.reason}; {len(left_out):,} of {total:,} files cannot be used, all are listed in "
        f"{listing}: mend them and run the same command again, which goes on, or add --damaged skip or keep"
    )


def _write_left_out(path: Path, left_out: list[LeftOut]) -> None:
    lines = (f"{entry.split}\t{entry.name}\t{entry.reason}\n" for entry in left_out)
    write_atomically(path, "".join(lines))


def _counts(left_out: list[LeftOut]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in left_out:
        counts[entry.split] = counts.get(entry.split, 0) + 1
    return counts


def _write_mean(folder: Path, plan: Plan, state: State) -> None:
    """Of the resized pixels, before JPEG; in the order B, G, R, in which Caffe subtracts them."""
    count = len(plan.train) - len(state.failed)
    mean = state.pixel_sum / count
    channel_mean = mean.mean(axis=(0, 1))
    variance = state.square_sum / (count * mean[:, :, 0].size) - channel_mean**2
    texts = {
        "channels": "B, G, R",
        "mean": channel_mean.tolist(),
        "standard_deviation": np.sqrt(np.maximum(variance, 0)).tolist(),
        "images": count,
    }
    write_atomically(folder / MEAN_VALUES, json.dumps(texts, indent=2) + "\n")
    blob = caffe_pb2.BlobProto(num=1, channels=3, height=mean.shape[0], width=mean.shape[1])
    blob.data.extend(mean.transpose(2, 0, 1).ravel().astype(np.float32))
    write_atomically(folder / MEAN_IMAGE, blob.SerializeToString())
