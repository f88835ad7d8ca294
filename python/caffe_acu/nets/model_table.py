"""``models/README.md``: every row of the papers beside what stands here."""

from itertools import groupby

from caffe_acu.nets.model import Model
from caffe_acu.papers.our_results import OurResults
from caffe_acu.papers.printed import TITLES, Printed, printed_results

_HEAD = """\
# The networks of both papers

Every row of every table, and of the poster, with the network that it is about. Parameters and multiply-adds of the
paper stand beside ours, counted by `caffe-acu counts`, rounded as the paper rounds and exact; results beside ours, or
"not run". [docs/networks.md](../docs/networks.md) has drawings, and tells how the papers were read where they say
nothing.

Each folder has `train_val.prototxt`, `deploy.prototxt`, `solver.prototxt` and a readme with what is assumed. All of it
is made by `caffe-acu models` from [python/caffe_acu/nets](../python/caffe_acu/nets), this page too.
`caffe-acu models --list` prints a line for each.

## How to train

The commands in the readmes are for a shell in the root of the repository that finds what was built there:

    export PATH="$PWD/build/bin:$PWD/.venv/bin:$PATH"

- GPU: add `--gpu 0`, or `--gpu all`, to `caffe train`. Every GPU takes `batch_size` images, so divide that by their
  number.
- Interrupted: Ctrl-C makes Caffe write a snapshot beside the solver, where git ignores it. From the last one, after a
  crash too, the same command goes on if it has `--resume auto`.
- Test errors: `caffe-acu evaluate models/cvpr2017/plain_acu/train_val.prototxt <snapshot>.caffemodel`; the ten crops
  of Table 4 with `--crops 10`. Learned shapes: `caffe-acu positions <snapshot>.caffemodel --plot shapes.png`.
- To try it quickly: `caffe-acu data cifar10 --limit-train 100 --limit-test 20 ...` makes a small data set.
"""


def model_table(models: list[Model], ours: OurResults = OurResults()) -> str:
    by_folder = {model.folder: model for model in models}
    lines = [_HEAD]
    for paper, results in groupby(printed_results(), key=lambda row: row.paper):
        lines += [f"## {TITLES[paper]}", ""]
        for place, rows in groupby(results, key=lambda row: row.place):
            heading = [] if paper == "poster" else [f"### {place}", ""]
            lines += [*heading, *_table(list(rows), by_folder, ours), ""]
    unlisted = [model for model in models if not model.printed]
    lines += [
        "## Beside the tables",
        "",
        *(f"- [{model.title}]({model.folder}): {model.text}" for model in unlisted),
        "",
    ]
    return "\n".join(lines)


def _table(rows: list[Printed], models: dict[str, Model], ours: OurResults) -> list[str]:
    lines = [
        "| row | network | params: paper | ours | MAdds: paper | ours | data | result: paper | ours |",
        "|---|---|--:|--:|--:|--:|---|---|---|",
    ]
    for row in rows:
        count = models[row.model].counted_by(row.counted_by)
        cells = (
            row.row,
            f"[{row.model.partition('/')[2]}]({row.model})",
            row.params or "-",
            _beside(row, row.params, count.parameters),
            row.madds or "-",
            _beside(row, row.madds, count.multiply_adds),
            row.dataset,
            row.result,
            ours.cell(row),
        )
        lines.append(f"| {' | '.join(cells)} |")
    for note, names in _rows_by_note(rows).items():
        about = "" if len(names) == len(rows) else f"{', '.join(names)}: "
        lines += ["", f"{about}{note}." if about else f"{note[0].upper()}{note[1:]}."]
    return lines


def _rows_by_note(rows: list[Printed]) -> dict[str, list[str]]:
    noted: dict[str, list[str]] = {}
    for row in rows:
        if row.note:
            noted.setdefault(row.note, []).append(row.row)
    return noted


def _beside(row: Printed, printed: str, count: int) -> str:
    """Our count; first, where the paper prints one, in its digits."""
    return f"{row.as_printed(count, printed)} ({count:,})" if printed else f"{count:,}"
