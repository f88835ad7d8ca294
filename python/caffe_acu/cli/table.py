"""``caffe-acu table``: a table of a paper beside what our runs gave."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "table",
        help="show a table of a paper beside the results of the runs that are there",
        description="Reads the runs below a folder of results, finished or not, and writes the table beside them: "
        '<results>/<paper>/<table> as .json, .csv, .md and .html. It trains nothing: what is missing is "not run".',
        epilog="example: caffe-acu table grouped table5",
    )
    parser.add_argument("paper", metavar="PAPER", help="cvpr2017 or grouped")
    parser.add_argument("table", metavar="TABLE", help="such as table2, poster_ablation or section433")
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="(results)")
    parser.add_argument("--scale", type=int, default=1, metavar="N", help="runs of the schedule divided by N (1)")
    parser.add_argument("--seeds", type=int, metavar="K", help="how many runs a row needs (as many as the paper's)")
    parser.add_argument(
        "--made-by", metavar="COMMAND", help="what the table says it was made by, where another command calls this one"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from caffe_acu.errors import UserError
    from caffe_acu.reproduce.results import other_scales, read_runs
    from caffe_acu.reproduce.table_files import write_table
    from caffe_acu.reproduce.tables import find_table

    for name in ("scale", "seeds"):
        if (getattr(arguments, name) or 1) < 1 or getattr(arguments, name) == 0:
            raise UserError(f"--{name} {getattr(arguments, name)}: 1 or more was expected")
    runs = read_runs(find_table(arguments.paper, arguments.table), arguments.results, arguments.scale)
    files = write_table(runs, arguments.results, arguments.seeds, arguments.made_by)
    print(files["md"].read_text(encoding="utf-8"))
    print(f"Files: {', '.join(map(str, files.values()))}")
    if not any(runs.by_model.values()) and (others := other_scales(runs, arguments.results)):
        print(f"No run of this schedule; there are some of --scale {', '.join(map(str, others))}")
