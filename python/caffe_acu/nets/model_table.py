"""``models/README.md``: every row of the papers beside what stands here."""

from itertools import groupby

from caffe_acu.nets.model import Model
from caffe_acu.papers.printed import TITLES, Printed, printed_results

_HEAD = """\
# The networks of both papers

Every row of every table, and of the poster, with the network that it is about. Parameters and multiply-adds are those
of the paper beside ours (`caffe-acu counts`); results are the paper's beside ours, or "not run".

Each folder has `train_val.prototxt`, `deploy.prototxt`, `solver.prototxt` and a readme with what is assumed. All of it
is made by `caffe-acu models` from [python/caffe_acu/nets](../python/caffe_acu/nets), this page too.
"""


def model_table(models: list[Model]) -> str:
    by_folder = {model.folder: model for model in models}
    lines = [_HEAD]
    for (paper, place), rows in groupby(printed_results(), key=lambda row: (row.paper, row.place)):
        lines += [f"## {TITLES[paper]}: {place}", "", *_table(list(rows), by_folder), ""]
    unlisted = [model for model in models if not model.printed]
    lines += [
        "## Beside the tables",
        "",
        *(f"- [{model.title}]({model.folder}): {model.text}" for model in unlisted),
        "",
    ]
    return "\n".join(lines)


def _table(rows: list[Printed], models: dict[str, Model]) -> list[str]:
    lines = [
        "| row | network | params: paper | ours | MAdds: paper | ours | data | result: paper | ours |",
        "|---|---|--:|--:|--:|--:|---|---|---|",
    ]
    for row in rows:
        count = models[row.model].count
        cells = (
            row.row,
            f"[{row.model.partition('/')[2]}]({row.model})",
            row.params or "-",
            f"{count.parameters:,}",
            row.madds or "-",
            f"{count.multiply_adds / 1e6:,.1f}M",
            row.dataset,
            row.result,
            "not run",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines
