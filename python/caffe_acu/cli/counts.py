"""``caffe-acu counts``: parameters and multiply-adds of a network."""

import argparse
from pathlib import Path


def register(subparsers) -> None:
    parser = subparsers.add_parser(
        "counts",
        help="count parameters and multiply-adds",
        description="Counts a network, layer by layer, for one image in the test phase. Parameters: weights, biases, "
        "scale and shift of batch normalisation, and 2 (K - 1) coordinates for every position set with a fixed "
        "synapse. Multiply-adds: products of convolutions and inner products, and 3 for every value that an ACU "
        "interpolates. These conventions give the papers' printed numbers.",
    )
    parser.add_argument("net", type=Path, metavar="NET", help="a prototxt")
    parser.add_argument(
        "--input", type=int, nargs=3, metavar=("C", "H", "W"), help="size of the images of a data layer"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    import json
    from dataclasses import asdict

    from caffe_acu.counts.network import count_file

    count = count_file(arguments.net, tuple(arguments.input) if arguments.input else None)
    if arguments.json:
        totals = {"parameters": count.parameters, "multiply_adds": count.multiply_adds}
        print(json.dumps({"name": count.name, **totals, "layers": [asdict(row) for row in count.rows]}, indent=2))
        return
    cells = [
        (row.name, row.type, "x".join(map(str, row.top[1:])), f"{row.parameters:,}", f"{row.multiply_adds:,}")
        for row in count.rows
        if row.parameters or row.multiply_adds
    ]
    head = ("layer", "type", "output", "parameters", "multiply-adds")
    total = ("total", "", "", f"{count.parameters:,}", f"{count.multiply_adds:,}")
    if arguments.markdown:
        rule = ("---", "---", "---", "---:", "---:")
        lines = ["| " + " | ".join(line) + " |" for line in (head, rule, *cells, total)]
    else:
        lines = _aligned([head, *cells, total])
    print("\n".join(lines))


def _aligned(table: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = []
    for line in table:
        texts = [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
        lines.append("  ".join(texts + numbers))
    return lines
