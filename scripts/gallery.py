"""Runs the commands of docs/gallery.md and renews its table of runs; to be started where docs/ and results/ are.

Commands are the indented lines that begin with caffe-acu, a backslash joins two. The table stands between two comments.
"""

import re
import shlex
import sys
from pathlib import Path

from caffe_acu.cli.main import main
from caffe_acu.errors import UserError
from caffe_acu.net_param import write_atomically
from caffe_acu.reproduce.records import RunRecord, read_run
from caffe_acu.tables import Table, markdown

_PAGE = Path("docs/gallery.md")
_BEGIN, _END = "<!-- runs, by scripts/gallery.sh -->\n", "<!-- end of runs -->\n"
_DAY = len("2026-11-21")


def commands(page: str) -> list[list[str]]:
    """The words of each command, without ``caffe-acu``."""
    joined = page.replace("\\\n", " ")
    return [shlex.split(line) for line in re.findall(r"^    caffe-acu (.+)$", joined, re.MULTILINE)]


def table_of_runs(folders: list[Path]) -> str:
    """What has been trained for how long, in Markdown. UserError if a run is not done."""
    runs = [read_run(folder) for folder in folders]
    table: Table = [("run", "schedule", "iterations", "warm-up", "test error (%)", "commit", "begun")]
    table += [_line(run) for run in runs]
    differences = sorted({run.differs for run in runs} - {""})
    machines = sorted({"{processor}, {cores} cores".format(**run.environment()) for run in runs})
    return "\n".join([markdown(table), "", f"{'; '.join([*machines, *differences])}.", ""])


def _line(run: RunRecord) -> tuple[str, ...]:
    if not run.done:
        raise UserError(f"{run.folder}: {run.status}; the same command that began it goes on")
    environment = run.environment()
    return (
        f"`{run.folder}`",
        "whole" if run.scale == 1 else f"1/{run.scale}",
        f"{run.max_iter:,}",
        f"{run.warmup_iter:,}",
        f"{run.test_error(1, crops=1):.2f}",
        environment["commit"],
        environment["date"][:_DAY],
    )


def renew() -> int:
    """Exit code: that of the first command that fails."""
    page = _PAGE.read_text(encoding="utf-8")
    wanted = commands(page)
    named = sorted({Path(word) for command in wanted for word in command if Path(word).is_dir()})
    head, _, rest = page.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    try:
        table = table_of_runs(named)
    except UserError as error:
        print(f"{_PAGE}: {error}", file=sys.stderr)
        return 2
    for command in wanted:
        if code := main(command):
            return code
    write_atomically(_PAGE, f"{head}{_BEGIN}{table}{_END}{tail}")
    return 0


if __name__ == "__main__":
    sys.exit(renew())
