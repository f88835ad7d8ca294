"""Results of our own runs, ``docs/results/<paper>/<table>.json``, as they stand beside the papers'."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from caffe_acu.errors import UserError
from caffe_acu.papers.printed import Printed, printed_results

COMMITTED = Path(__file__).resolve().parents[3] / "docs" / "results"
NOT_RUN = "not run"


def our_cell(row: Mapping[str, Any]) -> str:
    """What a row of a table's results shows as ours: "5.56 ± 0.13 (5)", mean, standard deviation, number of runs; and
    why it is not comparable with the paper's, if it is not."""
    ours = row["ours"]
    if ours is None:
        return NOT_RUN
    sign = "+" if row["metric"].endswith("points") else ""
    std = "" if ours["std"] is None else f" ± {ours['std']:.2f}"
    text = f"{ours['mean']:{sign}.2f}{std} ({ours['n']})"
    return f"{text}, {row['remark']}" if row["remark"] else text


@dataclass(frozen=True)
class OurResults:
    """What a network gave, by network, data set and metric: it may stand in several tables."""

    cells: Mapping[tuple[str, str, str], str] = field(default_factory=dict)

    def cell(self, printed: Printed) -> str:
        return self.cells.get(_key(vars(printed)), NOT_RUN)


def read_our_results(folder: Path = COMMITTED) -> OurResults:
    """The results below a folder; UserError if a file of a table is not what `caffe-acu table` writes."""
    found: dict[tuple[str, str, str], tuple[tuple[bool, int], str]] = {}
    for paper, table in dict.fromkeys(printed.table_id for printed in printed_results()):
        path = folder / paper / f"{table}.json"
        if not path.is_file():
            continue
        try:
            results = json.loads(path.read_text(encoding="utf-8"))
            for row in results["rows"]:
                if row["ours"] is not None:
                    # Of the same network in two tables: what is comparable, then what has more runs.
                    rank = not row["remark"], row["ours"]["n"]
                    found[_key(row)] = max(found.get(_key(row), (rank, "")), (rank, our_cell(row)))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: not what `caffe-acu table` writes ({error!r}): copy it anew") from error
    return OurResults({key: cell for key, (_, cell) in found.items()})


def _key(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["model"], row["dataset"], row["metric"]
