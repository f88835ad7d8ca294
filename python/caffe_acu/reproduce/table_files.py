"""The results of a table as files: JSON, CSV with a line per row, Markdown, and a page in HTML."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from caffe_acu import tables
from caffe_acu.errors import UserError
from caffe_acu.experiments.environment import hardware
from caffe_acu.net_param import write_atomically
from caffe_acu.papers.our_results import our_cell
from caffe_acu.reproduce.report.page import html_report
from caffe_acu.reproduce.report_data import report_data
from caffe_acu.reproduce.results import TableRuns, results_folder, table_results

Results = Mapping[str, Any]  # of results.table_results

_CSV_COLUMNS = (
    "row", "dataset", "metric", "model", "paper_value", "paper_std", "paper_runs", "mean", "std", "n", "seeds",
    "values", "difference", "params", "madds", "status", "remark",
)  # fmt: skip


def write_table(runs: TableRuns, folder: Path, seeds: int | None = None, command: str | None = None) -> dict[str, Path]:
    """Writes ``<folder>/<paper>/<table>`` as .json, .csv, .md and .html; returns the files by these endings.

    ``folder`` is that of all results; those of a scale get one of their own below it. ``seeds`` and ``command``: see
    :func:`table_results`.
    """
    results = table_results(runs, seeds, command)
    contents = {
        "json": json.dumps(results, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        "csv": as_csv(results),
        "md": as_markdown(results),
        "html": html_report(report_data(runs, results, *cells(results))),
    }
    place = results_folder(folder, runs.scale) / runs.table.paper
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{place}: cannot be made: {error.strerror}; choose another folder with --results") from error
    files = {ending: place / f"{runs.table.id}.{ending}" for ending in contents}
    for ending, path in files.items():
        write_atomically(path, contents[ending])
    return files


def as_csv(results: Results) -> str:
    """A line for each row; ``seeds`` and ``values`` with spaces between them, blank where there is nothing."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _CSV_COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in results["rows"]:
        ours = row["ours"] or {}
        listed = {name: " ".join(map(str, ours[name])) for name in ("seeds", "values") if ours}
        writer.writerow({**row, **ours, **listed})
    return text.getvalue()


def cells(results: Results) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table, for people."""
    head = ["row", "data", "metric", "paper", "ours", "difference", "params", "MAdds", "status"]
    return head, [_cells(row) for row in results["rows"]]


def _cells(row: Mapping[str, Any]) -> list[str]:
    return [
        row["row"],
        row["dataset"],
        row["metric"],
        _paper(row),
        our_cell(row),
        "-" if row["difference"] is None else f"{row['difference']:+.2f}",
        f"{row['params']:,}",
        f"{row['madds']:,}",
        row["status"],
    ]


def _paper(row: Mapping[str, Any]) -> str:
    """With the digits of the paper."""
    value, std, n = (row[f"paper_{name}"] for name in ("value", "std", "runs"))
    text = f"{value:+.2f}" if row["metric"].endswith("points") else str(value)
    text += f" ± {std}" if std is not None else ""
    return f"{text} ({n})" if n is not None else text


def as_markdown(results: Results) -> str:
    head, rows = cells(results)
    title = f"# {results['title']}"
    lines = [f"{title} ({results['remark']})" if results["remark"] else title, ""]
    lines += [
        "Mean ± sample standard deviation (number of runs); difference: ours - paper.",
        "",
        tables.markdown([tuple(head), *map(tuple, rows)]),
        "",
        "## Gains of one row over another",
        "",
        *map(_compared, results["comparisons"]),
        "",
    ]
    if results["notes"]:
        lines += ["## Remarks", "", *(f"- {note}" for note in results["notes"]), ""]
    lines += [
        "## How",
        "",
        f"- command: `{results['command']}`",
        f"- commit: {results['commit']}",
        f"- date: {results['date']}",
        *(f"- runs: {_where(environment)}" for environment in results["environments"]),
    ]
    return "\n".join(lines) + "\n"


def _compared(comparison: Mapping[str, Any]) -> str:
    significant = {True: "; significant at 5 %", False: "; not significant at 5 %", None: ""}
    return (
        f'- {comparison["dataset"]}, {comparison["metric"]}: "{comparison["acu"]}" against "{comparison["base"]}": '
        f"paper {comparison['paper_gain']:+.2f} points; ours {comparison['remark']}"
        f"{significant[comparison['significant']]}"
    )


def _where(environment: Mapping[str, Any]) -> str:
    try:
        return f"commit {environment['commit']}, {hardware(dict(environment))}"
    except (KeyError, TypeError):
        return "unknown"
