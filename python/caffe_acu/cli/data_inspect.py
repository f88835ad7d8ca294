"""``caffe-acu data verify | show``: is a data set whole, and what does it look like."""

import argparse
from pathlib import Path

_LINES = 20  # of findings; a damaged disk can make millions


def register(data_sets) -> None:
    verify = data_sets.add_parser(
        "verify",
        help="prove a prepared data set whole",
        description="Compares every record, table and file of DIR with the digests taken when it was written, and "
        "decodes every image. Exits with 1 if anything differs.",
    )
    verify.add_argument("folder", type=Path, metavar="DIR", help="what `caffe-acu data` made")
    verify.add_argument("--workers", type=int, metavar="N", help="processes (as many as there are cores)")
    verify.set_defaults(run=_run_verify)


def _run_verify(arguments: argparse.Namespace) -> int:
    from caffe_acu.data.verify import verify

    report = verify(arguments.folder, arguments.workers)
    for line in report.findings[:_LINES]:
        print(line)
    if len(report.findings) > _LINES:
        print(f"and {len(report.findings) - _LINES:,} more")
    looked_at = ", ".join(f"{name} {count:,} records" for name, count in report.records.items())
    print(f"{arguments.folder}: {'DAMAGED' if report.findings else 'whole'} ({looked_at})")
    return 1 if report.findings else 0
