"""Folders of runs, written from numbers: what a training and its test would leave."""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

ENVIRONMENT = {
    "date": "2026-11-21T10:00:00+00:00",
    "commit": "abc1234",
    "processor": "A processor",
    "cores": 2,
    "gpus": [],
    "seed": 1,
}
BEGUN = "I20261121 10:00:00.000000     1 solver.cpp:285] Solving net"


def write_run(
    results: Path,
    model: str,
    seed: int,
    error: float | None = None,
    *,
    top5: float = 5.0,
    crops: int = 1,
    scale: int = 1,
    max_iter: int = 64_000,
    environment: dict[str, Any] | None = None,
    **description: Any,
) -> Path:
    """A run that is done, with that top-1 error in percent; without one, a run that has stopped. Returns its folder.

    ``results``: the folder of all results; those of a scale stand below it.
    """
    paper, _, network = model.partition("/")
    root = results if scale == 1 else results / f"scaled-{scale}"
    folder = root / paper / "runs" / network / f"seed{seed}"
    (folder / "snapshots").mkdir(parents=True)
    run = {
        "model": model,
        "seed": seed,
        "scale": scale,
        "max_iter": max_iter,
        "warmup_iter": 100,
        "data": "data/cifar10/lmdb-gcn",
        "limit": None,
        "start": None,
    }
    (folder / "run.json").write_text(json.dumps(run | description))
    (folder / "env.json").write_text(json.dumps({**ENVIRONMENT, "seed": seed, **(environment or {})}))
    (folder / "solver.prototxt").write_text('net: "train_val.prototxt"\ntype: "Nesterov"\nbase_lr: 0.1\n')
    write_log(folder, np.arange(0, 1000, 100), np.linspace(2.3, 0.5, 10), [0, 500], [90.0, 40.0])
    if error is not None:
        top = {"1": {"percent": error}, "5": {"percent": top5}}
        (folder / "test.json").write_text(json.dumps({"crops": crops, "top": top}))
        (folder / "DONE").write_text("")
    return folder


def write_log(folder: Path, iterations, losses, tests, errors, rates=()) -> None:
    """train.log of losses and of test errors in percent, a test before the loss of its iteration; ``rates`` of the
    first iterations, after their losses."""
    lines = [BEGUN]
    tested = dict(zip(tests, errors, strict=True))
    for iteration, loss, rate in zip_longest(iterations, losses, rates):
        if iteration in tested:
            lines += [
                f"I20261121 10:00:00.000000     1 solver.cpp:347] Iteration {iteration}, Testing net (#0)",
                f"I20261121 10:00:00.000000     1 solver.cpp:414]     Test net output #0: accuracy = "
                f"{1 - tested[iteration] / 100:.4f}",
            ]
        lines.append(
            f"I20261121 10:00:00.000000     1 solver.cpp:239] Iteration {iteration} (9 iter/s, 1.1s/10 iters), "
            f"loss = {loss:.6g}"
        )
        if rate is not None:
            lines.append(f"I20261121 10:00:00.000000     1 sgd_solver.cpp:114] Iteration {iteration}, lr = {rate:g}")
    (folder / "train.log").write_text("\n".join(lines) + "\n")


def write_table(folder: Path, rows: list[tuple[int, float | str, float | str, float | str]]) -> None:
    """metrics.csv of (iteration, train_loss, test_loss, test_error_percent)."""
    lines = ["iteration,lr,train_loss,test_loss,test_error_percent"]
    lines += [f"{iteration},0.1,{','.join(map(str, values))}" for iteration, *values in rows]
    (folder / "metrics.csv").write_text("\n".join(lines) + "\n")
