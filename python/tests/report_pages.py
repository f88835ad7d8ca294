"""Made-up results from which the pages of the report's tests are made, and the positions that a page shows."""

from typing import Any

import numpy as np

from browser import Browser

LATTICE_Y, LATTICE_X = np.mgrid[-1:2, -1:2].reshape(2, 9)
# Positions as the page shows them, [set, synapse, x, y]: a dot's middle, a square's too.
DOTS = """return [...document.querySelectorAll(`[data-layer="${arguments[0]}"] .synapse`)].map((dot) => {
  const box = dot.getBBox();
  const set = Number(dot.closest(".set").dataset.set);
  return [set, Number(dot.dataset.synapse), box.x + box.width / 2, box.y + box.height / 2];
})"""


def nothing_run(**changes: Any) -> dict[str, Any]:
    """Report data of a table of which nothing has run."""
    data = {
        "title": "Grouped ACU, Table 1",
        "remark": "",
        "notes": [],
        "command": "caffe-acu reproduce grouped table1",
        "table": {
            "columns": ["row", "paper (%)", "ours (%)", "difference", "params", "MAdds", "status"],
            "rows": [["ResNet/Base", "6.18 ± 0.1", None, float("nan"), "1.24M", "197.8M", "not run"]],
        },
        "curves": [],
        "shapes": [],
        "settings": [],
        "environments": [],
        "comparisons": [],
    }
    return data | changes


def curve(row: str, kind: str, seed: int = 1, warmup: int = 0, records: int = 65, last: int = 6400) -> dict[str, Any]:
    """A loss that falls with a rate drop, and an error every tenth record."""
    random = np.random.default_rng([seed, records, *row.encode()])
    iterations = np.linspace(0, last, records).round().astype(int)
    done = iterations / last
    fall = 2.1 * np.exp(-5 * done) + 0.18 + 0.25 * (done < 0.5)
    loss = (fall * (0.94 if kind == "acu" else 1) * random.normal(1, 0.07, records)).clip(0.01)
    error = 100 * (1 - np.exp(-fall / 2)) + random.normal(0, 0.3, records)
    every = slice(0, None, max(records // 40, 1))
    return {
        "row": row,
        "model": f"grouped/{row}",
        "kind": kind,
        "seed": seed,
        "warmup_iter": warmup,
        "train": {"iteration": iterations.tolist(), "loss": loss.tolist()},
        "test": {"iteration": iterations[every].tolist(), "error": error[every].tolist()},
    }


def shape(row: str, layer: str, seed: int = 1, sets: int = 1, of: int = 0, moments: int = 33, **changes: Any):
    """A 3x3 layer whose synapses stay for a quarter of 6400 iterations, then drift outwards; the origin is fixed."""
    random = np.random.default_rng([seed, sets, *layer.encode()])
    time = (np.linspace(0, 1, moments) - 0.25).clip(0)[:, None, None]
    wander = random.normal(0, 0.05, (2, moments, sets, 9)).cumsum(axis=1) * time
    x, y = (start * (1 + 0.5 * time) + time * random.normal(0, 0.45, (sets, 9)) for start in (LATTICE_X, LATTICE_Y))
    x, y = x + wander[0], y + wander[1]
    x[..., 4] = y[..., 4] = 0
    total = of or sets
    return {
        "row": row,
        "model": f"grouped/{row}",
        "seed": seed,
        "layer": layer,
        "kernel": [3, 3],
        "iterations": np.linspace(0, 6400, moments).round().astype(int).tolist(),
        "x": x.tolist(),
        "y": y.tolist(),
        "fixed": [4] * sets,
        "sets": total,
        "set_numbers": (np.arange(sets) * total // sets).tolist(),
    } | changes


def full() -> dict[str, Any]:
    """A table with two seeds of a base, two of an ACU of three layers, one depthwise ACU of many sets, and a gap."""
    environment = {
        "date": "2026-11-21T17:00:00+00:00",
        "commit": "b41bba9",
        "processor": "AMD EPYC 9V74 80-Core Processor",
        "cores": 2,
        "gpus": [],
        "python": "3.11.2",
        "seed": 1,
    }
    return nothing_run(
        remark="scaled 1/64, not comparable",
        command="caffe-acu reproduce grouped table1 --scale 64 --seeds 2",
        table={
            "columns": ["row", "paper (%)", "ours (%)", "difference", "params", "MAdds", "status"],
            "rows": [
                ["ResNet/Base", "6.18 ± 0.11", "18.40 ± 0.31 (n = 2)", "+12.22", "1.24M", "197.8M", "done"],
                ["ResNet/ACU", "5.56 ± 0.09", "17.35 ± 0.22 (n = 2)", "+11.79", "1.24M", "197.8M", "done"],
                ["x1d/ACU", 4.9, "17.02 (n = 1)", "+12.12", "1.17M", "201.9M", "1 of 2 runs"],
                ["x1d/Base", 5.41, None, None, "1.16M", "201.9M", "not run"],
            ],
        },
        curves=[
            *(curve("ResNet/Base", "base", seed) for seed in (1, 2)),
            *(curve("ResNet/ACU", "acu", seed, warmup=1600) for seed in (1, 2)),
            curve("x1d/ACU", "acu", 3, warmup=1600),
        ],
        shapes=[
            *(shape("ResNet/ACU", f"res{stage}_conv2", seed) for seed in (1, 2) for stage in (2, 3, 4)),
            shape("x1d/ACU", "res2_conv2", 3, sets=32, of=512),
            shape("x1d/ACU", "res3_conv2", 3, sets=4),
        ],
        settings=[{"row": "ResNet/ACU", "text": 'base_lr: 0.1\nlr_policy: "multistep"\n'}],
        environments=[environment],
        comparisons=[
            {
                "base": "ResNet/Base",
                "acu": "ResNet/ACU",
                "dataset": "CIFAR-10",
                "metric": "test error %",
                "paper_gain": 0.62,
                "our_gain": 1.05,
                "standard_error": 0.27,
                "significant": True,
                "remark": "",
            },
            {
                "base": "x1d/Base",
                "acu": "x1d/ACU",
                "dataset": "CIFAR-10",
                "metric": "test error %",
                "paper_gain": 0.51,
                "our_gain": None,
                "standard_error": None,
                "significant": None,
                "remark": "x1d/Base: not run",
            },
        ],
    )


def dots(browser: Browser, layer: str, like) -> np.ndarray:
    """(sets, K, 2), from the page; every synapse of ``like`` must have one dot."""
    found = np.full((*np.shape(like), 2), np.nan)
    rows = browser.run(DOTS, layer)
    for s, k, x, y in rows:
        found[s, k] = x, y
    assert len(rows) == np.size(like) and np.isfinite(found).all()
    return found
